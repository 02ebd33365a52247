// The keyboard: `/` search, `?` key list, `t` theme; any other single key clicks the visible element that carries
// data-key="<key>" (the Feature page's buttons are also known by id). Never while somebody types.
(function () {
    "use strict";

    const IDS = {j: "feature-next", k: "feature-previous", r: "feature-random", e: "feature-edit"};

    function isTyping(target) {
        return target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable=true], dialog[open]") !== null;
    }

    function isVisible(element) {
        return element !== null && element.getClientRects().length > 0 && !element.disabled;
    }

    // The list of keys, from the pairs (key caps, words) that the shell sends as data.
    function writeKeys(place) {
        const {make} = window.loupe;
        const table = make("table");
        JSON.parse(place.dataset.keys).forEach(function ([keys, words]) {
            const caps = make("span", "kbd");
            caps.append(...keys.split(" ").map((key) => make("kbd", "", key)));
            const row = table.insertRow();
            row.insertCell().append(caps);
            row.insertCell().textContent = words;
        });
        place.replaceChildren(table);
    }

    function showKeys() {
        const list = document.getElementById("shell-keys");
        if (list && !list.open) {
            writeKeys(list.querySelector("[data-keys]"));
            list.showModal();
        }
    }

    function control(key) {
        const marked = Array.from(document.querySelectorAll('[data-key="' + CSS.escape(key) + '"]')).find(isVisible);
        const known = IDS[key] ? document.getElementById(IDS[key]) : null;
        return marked || (isVisible(known) ? known : null);
    }

    document.addEventListener("keydown", function (event) {
        if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !event.target.closest) {
            return;
        }
        if (isTyping(event.target)) {
            if (event.key === "Escape" && event.target.id && event.target.id.startsWith("shell-")) {
                event.target.blur();
            }
            return;
        }
        if (event.key === "/") {
            const search = document.getElementById("shell-search");
            if (search) {
                event.preventDefault();
                search.focus();
                search.select();
            }
        } else if (event.key === "?") {
            event.preventDefault();
            showKeys();
        } else if (event.key.length === 1) {
            const found = control(event.key);
            if (found) {
                event.preventDefault();
                found.click();
            } else if (event.key === "t") {
                window.loupe.toggleTheme();
            }
        }
    });

    document.addEventListener("click", function (event) {
        const list = document.getElementById("shell-keys");
        if (!list || !event.target.closest) {
            return;
        }
        if (event.target.closest('[data-action="keys"]')) {
            showKeys();
        } else if (event.target === list || event.target.closest('[data-action="close-keys"]')) {
            list.close();
        }
    });
})();
