// Presenting a playlist: keys and buttons lead from view to view, the bar below says where one is. All of its state is the
// address (`present=<playlist>:<step>`), so that loading anew and a shared link restore it. This file must come before
// shell.js in the alphabet: it completes an address before Dash and shell.js read it.
(function () {
    "use strict";

    const FORM = /^([a-z0-9][a-z0-9._-]{0,79}):([1-9]\d{0,3})$/; // as in dashboard/urls.py
    const QUICK_MS = 300; // presses closer than this leaf through the steps, and only the last one is opened
    let data = null; // the playlist as the server knows it
    let turnedAt = 0;
    let opening = null; // the timer of the step that is about to be opened
    let at = read();
    let isNoted = false;
    let said = ""; // about the last turn

    function read() {
        const found = FORM.exec(new URLSearchParams(window.location.search).get("present") || "");
        return found ? {name: found[1], step: Number(found[2])} : null;
    }

    function part(id) {
        return document.getElementById("presenter-" + id);
    }

    function steps() {
        return at && data && data.name === at.name ? data.steps : [];
    }

    // The view in the address bar, outside of any presentation.
    function plain() {
        const url = new URL(window.location.href);
        url.searchParams.delete("present");
        return url.pathname + url.search;
    }

    // Every address that a page writes, or a link leads to, stays inside of the presentation.
    function keep(url) {
        if (at && !url.searchParams.has("present") && !url.pathname.startsWith("/present")) {
            url.searchParams.set("present", at.name + ":" + at.step);
        }
        return url;
    }

    function followLink() {
        if (at && !read()) {
            const url = keep(new URL(window.location.href));
            window.history.replaceState(window.history.state, "", url.pathname + url.search + url.hash);
        }
        follow();
    }

    // The address has changed.
    function follow() {
        window.clearTimeout(opening);
        opening = null;
        at = read();
        document.documentElement.classList.toggle("is-presenting", at !== null);
        draw();
    }

    function text(id, words) {
        const element = part(id);
        if (element && element.textContent !== words) {
            element.textContent = words;
        }
    }

    function draw() {
        const bar = part("bar");
        if (!at || !bar) {
            return;
        }
        const list = steps();
        const step = list[at.step - 1];
        const isKnown = data !== null && data.name === at.name;
        const missing = isKnown && !step ? data.error || "This playlist has no step " + at.step + "." : "";
        text("place", list.length ? at.step + " of " + list.length : "");
        text("title", step ? step.title : "");
        text("said", said || missing || (step && step.problem) || "");
        text("note", step && step.note ? step.note : "No notes for this step.");
        part("note").hidden = !isNoted;
        const buttons = {};
        bar.querySelectorAll("[data-present]").forEach((button) => (buttons[button.dataset.present] = button));
        buttons.previous.disabled = !find(-1).step && !isAway();
        buttons.next.disabled = !find(1).step;
        buttons.note.setAttribute("aria-expanded", String(isNoted));
        buttons.note.classList.toggle("has-note", Boolean(step && step.note));
    }

    // The next step in a direction that can be shown, and the ones before it that cannot.
    function find(direction) {
        const list = steps();
        const skipped = [];
        for (let place = at.step + direction; place >= 1 && place <= list.length; place += direction) {
            if (!list[place - 1].problem) {
                return {step: list[place - 1], place: place, skipped: skipped};
            }
            skipped.push("Step " + place + " skipped: " + list[place - 1].problem);
        }
        return {step: null, skipped: skipped};
    }

    // Whether somebody has followed a link away from the step's own page.
    function isAway() {
        const step = steps()[at.step - 1];
        const path = (href) => decodeURIComponent(new URL(href, window.location.origin).pathname);
        return Boolean(step) && !step.problem && opening === null && path(step.href) !== path(window.location.href);
    }

    function open(href) {
        window.loupe.go(href); // which calls followLink
    }

    function turn(direction) {
        said = "";
        if (direction < 0 && isAway()) {
            open(steps()[at.step - 1].href);
            return;
        }
        const found = find(direction);
        const end = direction > 0 ? "This is the last step." : "This is the first step.";
        said = found.skipped.join(" ") || (found.step || !steps().length ? "" : end);
        if (found.step) {
            turnTo(found.place);
        } else {
            draw();
        }
    }

    function turnTo(place) {
        const href = steps()[place - 1].href;
        const isQuick = Date.now() - turnedAt < QUICK_MS;
        turnedAt = Date.now();
        at.step = place;
        window.clearTimeout(opening);
        if (isQuick) {
            opening = window.setTimeout(() => open(href), QUICK_MS);
            draw();
        } else {
            open(href);
        }
    }

    function jump(isFirst) {
        const list = steps();
        const place = isFirst ? list.findIndex((step) => !step.problem) : list.findLastIndex((step) => !step.problem);
        if (place >= 0) {
            said = "";
            turnTo(place + 1);
        }
    }

    function leave() {
        const href = plain();
        at = null; // or the address would be completed again
        window.loupe.go(href);
    }

    function toggleNote() {
        isNoted = !isNoted;
        draw();
    }

    const ACTIONS = {previous: () => turn(-1), next: () => turn(1), note: toggleNote, leave: leave};

    // A clicker sends PageDown and PageUp, and means the presentation wherever the focus is; arrows belong to fields,
    // tables and sliders first.
    function press(event) {
        if (!at || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || !event.target.closest) {
            return;
        }
        if (document.querySelector("dialog[open]") || event.target.closest("textarea, select, [contenteditable=true]")) {
            return;
        }
        const isBusy = event.target.closest("input, [role=grid], [role=slider], .ag-popup, .ag-root-wrapper") !== null;
        const always = {PageDown: () => turn(1), PageUp: () => turn(-1)};
        const free = {ArrowRight: () => turn(1), ArrowLeft: () => turn(-1), Home: () => jump(true), End: () => jump(false), Escape: leave};
        const action = always[event.key] || (isBusy ? null : free[event.key]);
        if (action) {
            event.preventDefault();
            event.stopPropagation();
            action();
        }
    }

    // What draws figures and tables is large, and Dash asks for it only when it is needed: here it comes ahead.
    function fetchAhead() {
        if (!document.querySelector("link[data-presenter]")) {
            for (const address of data.scripts) {
                const link = document.createElement("link");
                Object.assign(link, {rel: "prefetch", as: "script", href: address});
                link.dataset.presenter = "ahead";
                document.head.append(link);
            }
        }
    }

    function show(found) {
        if (found) {
            data = found;
            draw();
            fetchAhead();
        }
        return window.dash_clientside.no_update;
    }

    function wanted(_search, _path, known) {
        draw();
        const name = at ? at.name : null; // null in between: the playlist may be another one when it is presented again
        return name === (known || null) ? window.dash_clientside.no_update : name;
    }

    document.addEventListener("click", function (event) {
        const button = event.target.closest && event.target.closest("[data-present]");
        if (button && at) {
            ACTIONS[button.dataset.present]();
        }
    });
    window.addEventListener("keydown", press, true);
    window.addEventListener("_dashprivate_pushstate", followLink);
    window.addEventListener("popstate", follow);
    follow();

    window.loupe = Object.assign(window.loupe || {}, {keepPresenting: keep, plainView: plain, present: open});
    const root = (window.dash_clientside = window.dash_clientside || {});
    root.presenter = Object.assign(root.presenter || {}, {show: show, wanted: wanted});
})();
