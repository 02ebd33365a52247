// What people say about a feature: the versions of its label with what each changed, votes, comments, lists, a bookmark.
// Texts only ever enter the page as text nodes.
(function () {
    "use strict";

    const TAGS = {same: "span", gone: "del", new: "ins"};
    const TOLD = {gone: "removed: ", new: "added: "}; // for those who hear the page

    function make(tag, className, text) {
        return window.loupe.make(tag, className, text);
    }

    function button(words, what, data, title) {
        const made = make("button", "button writes", words);
        made.type = "button";
        made.dataset.do = what;
        Object.assign(made.dataset, data);
        made.title = title || "";
        return made;
    }

    function line({field, pieces}) {
        const made = make("div", "version-line is-" + field);
        if (field !== "name") {
            made.append(make("span", "version-field", field));
        }
        const text = make("span", "version-text");
        pieces.forEach(function ([kind, words]) {
            const piece = make(TAGS[kind], "", words);
            if (TOLD[kind]) {
                piece.prepend(make("span", "visually-hidden", TOLD[kind]));
            }
            text.append(piece);
        });
        if (!pieces.some(([kind]) => kind !== "gone")) {
            text.append(make("span", "muted", " (cleared)"));
        }
        made.append(text);
        return made;
    }

    function vote(version, words, people, value, person) {
        const mine = people.includes(person);
        const who = people.length ? people.join(", ") : "nobody yet";
        const made = button(words + " " + people.length, "vote", {version: version, value: mine ? 0 : value}, who);
        made.setAttribute("aria-pressed", String(mine));
        return made;
    }

    function votes(item, person) {
        const made = make("span", "version-votes");
        const counted = item.for.length + item.against.length;
        if (counted) { // for those who may only look: the buttons are not there
            const words = item.for.length + " agree, " + item.against.length + " disagree";
            const told = make("span", "looks muted", words);
            told.title = item.for.concat(item.against).join(", ");
            made.append(told);
        }
        made.append(vote(item.version, "Agree", item.for, 1, person), vote(item.version, "Disagree", item.against, -1, person));
        return made;
    }

    function version(item, newest, person) {
        const made = make("li", "version");
        const head = make("div", "version-head");
        head.append(make("span", "version-number num", "version " + item.version), make("span", "muted", item.by + ", " + item.when));
        if (item.version === newest) {
            head.append(votes(item, person));
        } else {
            const counted = item.for.length + item.against.length;
            if (counted) {
                head.append(make("span", "muted", item.for.length + " agree, " + item.against.length + " disagree"));
            }
            head.append(button("Restore", "restore", {version: item.version, replaces: newest}, "Save what this version said as the next one"));
        }
        made.append(head, ...item.lines.map(line));
        if (item.origin) {
            made.append(make("div", "muted", item.origin));
        }
        return made;
    }

    function listed(id, items, empty, tag) {
        const place = document.getElementById(id);
        const made = make(tag || "ul", "talk-list");
        made.append(...items);
        place.replaceChildren(items.length ? made : make("p", "panel-words", empty));
        return place;
    }

    function comment(newest) {
        return function (item) {
            const made = make("li", "comment");
            const about = item.version === newest ? "" : ", on version " + item.version;
            made.append(make("div", "muted", item.by + ", " + item.when + about), make("div", "comment-text", item.text));
            return made;
        };
    }

    function onList(item) {
        const made = make("li", "");
        const link = make("a", "feature-link", item.name);
        link.href = item.href;
        made.append(link, make("span", "muted num", item.size.toLocaleString("en") + (item.size === 1 ? " feature" : " features")));
        return made;
    }

    function draw(data) {
        const newest = data.versions.length ? data.versions[0].version : 0;
        const shown = data.versions.map((item) => version(item, newest, data.person));
        const place = listed("feature-history", shown, "Nobody has named this feature yet. Press e to be the first.", "ol");
        if (data.total > data.versions.length) {
            place.append(make("p", "muted", "The newest " + data.versions.length + " of " + data.total + " versions; the HTTP interface has all of them."));
        }
        const words = newest ? "Nobody has commented yet." : "Comments are about a label: there is none yet.";
        listed("feature-comments", data.comments.map(comment(newest)), words);
        document.getElementById("feature-comment-form").hidden = !newest;
        document.querySelector('[data-do="comment"]').dataset.version = newest;
        listed("feature-lists", data.lists.map(onList), "This feature is on no list.");
        const mark = document.querySelector('[data-do="bookmark"]');
        mark.dataset.set = String(!data.isBookmarked);
        mark.setAttribute("aria-pressed", String(data.isBookmarked));
        mark.textContent = data.isBookmarked ? "Bookmarked" : "Bookmark";
        document.getElementById("feature-list-names").replaceChildren(...data.names.map((name) => new Option(name)));
    }

    function show(data) {
        if (!data) {
            return window.dash_clientside.no_update;
        }
        window.loupe.whenThere("feature-lists", () => draw(data), 60);
        return String(data.total);
    }

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.discussion = Object.assign(root.discussion || {}, {show: show});
})();
