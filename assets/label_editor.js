// The label editor's dialog: opens and closes it, counts what is typed, asks before a change would be lost.
(function () {
    "use strict";

    const LIMITS = {name: [200, "The name"], notes: [10000, "The notes"]};

    function editor() {
        return document.getElementById("feature-editor");
    }

    function openEditor(clicks) {
        const dialog = editor();
        if (clicks && dialog && !dialog.open) {
            ask(false);
            window.dash_clientside.set_props("feature-version", {children: ""}); // shown again when the fields are filled anew
            dialog.showModal();
            document.getElementById("feature-name").focus();
        }
        return window.dash_clientside.no_update;
    }

    function shut() {
        ask(false);
        editor().close();
    }

    function closeEditor(result) {
        if (result && editor() && editor().open) {
            shut();
        }
        return window.dash_clientside.no_update;
    }

    function check(value, field) {
        const [limit, words] = LIMITS[field];
        const length = Array.from(value || "").length;
        const text = length.toLocaleString("en") + " / " + limit.toLocaleString("en");
        return length <= limit ? text : words + " may have at most " + limit.toLocaleString("en") + " characters: found " + length.toLocaleString("en") + ".";
    }

    // Counts both texts and keeps in mind whether they differ from what was opened.
    function typed(name, notes, base) {
        const shown = base || {name: "", notes: ""};
        const changed = (name || "") !== shown.name || (notes || "") !== shown.notes;
        const over = (text, field) => Array.from(text || "").length > LIMITS[field][0];
        const mark = (bad) => (bad ? "field-count is-bad" : "field-count");
        return [
            check(name, "name"),
            mark(over(name, "name")),
            check(notes, "notes"),
            mark(over(notes, "notes")),
            changed ? "yes" : "no",
        ];
    }

    function ask(really) {
        const question = document.getElementById("feature-discard-question");
        if (question) {
            question.hidden = !really;
            if (really) {
                document.getElementById("feature-keep").focus();
            }
        }
    }

    function leave() {
        if (editor().dataset.changed === "yes") {
            ask(true);
        } else {
            shut();
        }
    }

    document.addEventListener("click", function (event) {
        const id = event.target.closest ? (event.target.closest("button") || {}).id : null;
        if (id === "feature-close") {
            leave();
        } else if (id === "feature-keep") {
            ask(false);
            document.getElementById("feature-name").focus();
        } else if (id === "feature-discard") {
            shut();
        }
    });

    document.addEventListener("keydown", function (event) {
        const dialog = editor();
        if (!dialog || !dialog.open) {
            return;
        }
        if (event.key === "Escape") {
            event.preventDefault();
            const asking = !document.getElementById("feature-discard-question").hidden;
            if (asking) {
                ask(false);
                document.getElementById("feature-name").focus();
            } else {
                leave();
            }
        } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey || event.target.id === "feature-name")) {
            event.preventDefault();
            document.getElementById("feature-save").click();
        }
    });

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.labels = Object.assign(root.labels || {}, {close: closeEditor, open: openEditor, typed: typed});
})();
