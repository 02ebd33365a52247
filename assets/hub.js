/* Buttons with data-copy put that text on the clipboard and say so; where there is none, the text beside them is selected. */
(function () {
    "use strict";

    function say(button) {
        const picture = button.querySelector(".icon");
        const name = button.getAttribute("aria-label");
        if (button.classList.contains("is-copied")) {
            return;
        }
        button.classList.add("is-copied");
        button.setAttribute("aria-label", "Copied");
        picture.classList.replace("icon-copy", "icon-check");
        setTimeout(function () {
            button.classList.remove("is-copied");
            button.setAttribute("aria-label", name);
            picture.classList.replace("icon-check", "icon-copy");
        }, 1500);
    }

    function select(button) {
        const shown = button.parentElement.querySelector("code");
        if (shown) {
            shown.firstChild.nodeValue = button.dataset.copy;
            window.getSelection().selectAllChildren(shown);
        }
    }

    document.addEventListener("click", function (event) {
        const button = event.target.closest && event.target.closest("[data-copy]");
        if (!button) {
            return;
        }
        if (!navigator.clipboard) { // a page that did not come by https
            select(button);
            return;
        }
        navigator.clipboard.writeText(button.dataset.copy).then(function () { say(button); }, function () { select(button); });
    });
})();
