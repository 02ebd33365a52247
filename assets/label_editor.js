// The label editor's dialog: opens and closes it, counts what is typed, asks before a change would be lost.
(function () {
    "use strict";

    const LIMITS = {name: [200, "The name"], notes: [10000, "The notes"]};

    function editor() {
        return document.getElementById("label-editor");
    }

    let seenKey = null; // of the texts that an edit last started from

    // Nothing is typed or saved before the server has filled the fields for the feature that was asked for.
    function lock(isLocked) {
        document.getElementById("label-fields").inert = isLocked;
        document.getElementById("label-save").inert = isLocked;
        editor().dataset.filled = isLocked ? "no" : "yes";
    }

    function unlock() {
        lock(false);
        document.getElementById("label-name").focus();
    }

    // Opens the editor of a feature's label, on whatever page; its fields are filled by the server.
    function editLabel(store, feature) {
        const dialog = editor();
        if (dialog && !dialog.open) {
            ask(false);
            lock(true);
            window.dash_clientside.set_props("label-version", {children: ""}); // shown again when the fields are filled anew
            window.dash_clientside.set_props("label-place", {data: {store: store, feature: feature, at: Date.now()}});
            dialog.showModal();
            dialog.tabIndex = -1;
            dialog.focus(); // until the fields are there
        }
    }

    function shut() {
        ask(false);
        editor().close();
    }

    function closeEditor(result) {
        if (result && !result.stays && editor() && editor().open) {
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

    // Counts both texts and keeps in mind whether anything differs from what was opened.
    function typed(name, category, confidence, notes, evidence, base) {
        if (base && base.key !== seenKey) {
            seenKey = base.key;
            if (editor().dataset.filled === "no") {
                unlock();
            }
        }
        const shown = base || {name: "", category: "", confidence: null, notes: "", evidence: ""};
        const sure = confidence === null || confidence === undefined || confidence === "" ? null : Number(confidence) / 100;
        const isSure = (sure === null) === (shown.confidence === null) && Math.abs((sure || 0) - (shown.confidence || 0)) < 1e-6;
        const changed =
            (name || "") !== shown.name ||
            (category || "") !== shown.category ||
            (notes || "") !== shown.notes ||
            (evidence === "-" || !evidence ? "" : evidence) !== shown.evidence ||
            !isSure;
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
        const question = document.getElementById("label-discard-question");
        if (question) {
            question.hidden = !really;
            if (really) {
                document.getElementById("label-keep").focus();
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
        const button = event.target.closest ? event.target.closest("button") : null;
        const id = (button || {}).id;
        if (button && button.dataset.editLabel) {
            const [store, feature] = button.dataset.editLabel.split("/");
            editLabel(store, Number(feature));
        } else if (id === "label-close") {
            leave();
        } else if (id === "label-keep") {
            ask(false);
            document.getElementById("label-name").focus();
        } else if (id === "label-discard") {
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
            const asking = !document.getElementById("label-discard-question").hidden;
            if (asking) {
                ask(false);
                document.getElementById("label-name").focus();
            } else {
                leave();
            }
        } else if (event.key === "Enter" && dialog.dataset.filled === "yes" && (event.ctrlKey || event.metaKey || event.target.id === "label-name")) {
            event.preventDefault();
            document.getElementById("label-save").click();
        }
    });

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.label_editor = Object.assign(root.label_editor || {}, {close: closeEditor, typed: typed});
    window.loupe = Object.assign(window.loupe || {}, {editLabel: editLabel});
})();
