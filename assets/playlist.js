// Playlists: the dialog that adds the view in the address bar to one, and the list of steps on the Present page.
(function () {
    "use strict";

    function dialog() {
        return document.getElementById("playlist-dialog");
    }

    function openDialog() {
        const head = document.querySelector("main h1");
        const words = ((head && head.innerText) || document.title).replace(/\s+/g, " ").trim().slice(0, 200);
        const href = window.loupe.plainView();
        document.getElementById("playlist-view").textContent = decodeURIComponent(href);
        window.dash_clientside.set_props("playlist-view-data", {data: {href: href, title: words, at: Date.now()}});
        dialog().showModal();
        document.getElementById("playlist-name").focus();
    }

    function closeDialog(saved) {
        if (saved && dialog().open) {
            dialog().close();
        }
        return window.dash_clientside.no_update;
    }

    // The steps of the Present page -------------------------------------------------------------------------------------
    function element(name, className, words) {
        const made = document.createElement(name);
        made.className = className;
        if (words !== undefined) {
            made.textContent = words;
        }
        return made;
    }

    function changeButton(how, words, step, place, isOff) {
        const button = element("button", "icon-button");
        button.append(element("span", "icon icon-" + {up: "up", down: "down", remove: "close"}[how]));
        button.title = words;
        button.setAttribute("aria-label", words + ": step " + place + ", " + step.title);
        button.disabled = isOff;
        button.addEventListener("click", () => {
            window.dash_clientside.set_props("present-change", {data: {how: how, step: place, at: Date.now()}});
        });
        return button;
    }

    function stepItem(step, place, count, canChange) {
        const item = element("li", "step");
        const words = element("div", "step-words");
        const title = element("a", "step-title", step.title);
        title.href = step.href;
        title.addEventListener("click", (event) => {
            if (!event.ctrlKey && !event.metaKey && !event.shiftKey) {
                event.preventDefault();
                window.loupe.present(step.href);
            }
        });
        words.append(title);
        if (step.note) {
            words.append(element("p", "step-note", step.note));
        }
        if (step.problem) {
            words.append(element("span", "badge badge-warning", "cannot be shown"), element("span", "muted", step.problem));
        }
        words.append(element("span", "step-url token-text muted", decodeURIComponent(step.url)));
        item.append(element("span", "step-place num", String(place)), words);
        if (canChange) {
            const changes = element("div", "step-changes");
            changes.append(
                changeButton("up", "Move up", step, place, place === 1),
                changeButton("down", "Move down", step, place, place === count),
                changeButton("remove", "Remove", step, place, false),
            );
            item.append(changes);
        }
        return item;
    }

    function listSteps(found) {
        const list = element("ol", "steps");
        list.append(...found.steps.map((step, index) => stepItem(step, index + 1, found.steps.length, found.can_change)));
        const none = element("p", "panel-words", "This playlist has no step yet. Open a view and add it from the top bar.");
        document.getElementById("present-steps").replaceChildren(found.steps.length ? list : none);
        return String(found.steps.length);
    }

    document.addEventListener("click", function (event) {
        const button = event.target.closest && event.target.closest("[data-action]");
        if (button && button.dataset.action === "add-view") {
            openDialog();
        } else if (button && button.dataset.action === "close-playlist") {
            dialog().close();
        }
    });

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.playlist = Object.assign(root.playlist || {}, {close: closeDialog, steps: listSteps});
})();
