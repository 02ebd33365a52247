// The Labels page and what it shares with the Explorer and the Feature page: buttons that ask the server for something (in
// the store that `data-to` around them names), features chosen in a table, and the dialog that labels all of them.
(function () {
    "use strict";

    const SURE_MS = 4000;

    function tell(id, properties) {
        window.dash_clientside.set_props(id, properties);
    }

    // A button's data and the fields of its form, as one request.
    function request(button) {
        const {do: what, to, sure, ...data} = button.dataset;
        const fields = {};
        const form = button.closest("[data-form], .review");
        if (form) {
            form.querySelectorAll("[name]").forEach((field) => (fields[field.name] = field.value));
        }
        return {do: what, ...data, fields: fields, at: Date.now()};
    }

    // What cannot be undone is asked about on the button itself: a second click does it.
    function isSure(button) {
        if (!button.dataset.sure || button.classList.contains("is-asking")) {
            return true;
        }
        const words = button.textContent;
        button.classList.add("is-asking");
        button.textContent = button.dataset.sure;
        setTimeout(function () {
            button.classList.remove("is-asking");
            button.textContent = words;
        }, SURE_MS);
        return false;
    }

    // Fills a decision's fields with what one of the two said.
    function take(button) {
        const form = button.closest(".review");
        ["name", "category", "notes"].forEach(function (field) {
            form.querySelector('[name="' + field + '"]').value = button.dataset[field] || "";
        });
        form.querySelector('[name="name"]').focus();
    }

    function grid() {
        for (const id of ["explorer-grid", "labels-grid"]) {
            try {
                return window.dash_ag_grid.getApi(id);
            } catch (error) {
                // dash-ag-grid throws while there is no such table
            }
        }
        return null;
    }

    function dialog() {
        return document.getElementById("bulk-dialog");
    }

    function store() {
        return decodeURIComponent(window.location.pathname.split("/")[2] || "") || document.getElementById("shell-store").value;
    }

    function openBulk() {
        const features = grid().getSelectedRows().map((row) => Number(row.feature_id));
        tell("bulk-place", {data: {store: store(), features: features, at: Date.now()}});
        dialog().showModal();
        const first = Array.from(dialog().querySelectorAll(".bulk-field input")).find((field) => field.getClientRects().length);
        if (first) {
            first.focus();
        }
    }

    const ACTIONS = {
        "bulk-open": openBulk,
        "bulk-none": () => grid().deselectAll(),
        "bulk-close": () => dialog().close(),
    };

    document.addEventListener("click", function (event) {
        const button = event.target.closest && event.target.closest("button");
        if (!button) {
            return;
        }
        if (button.dataset.do) {
            if (isSure(button)) {
                const place = button.closest("[data-to]");
                tell(place ? place.dataset.to : "labels-do", {data: request(button)});
            }
        } else if ("take" in button.dataset) {
            take(button);
        } else if (ACTIONS[button.dataset.action]) {
            ACTIONS[button.dataset.action]();
        }
    });

    // Enter in a form's single line asks for what its first button does; in the dialog it saves.
    document.addEventListener("keydown", function (event) {
        if (event.key !== "Enter" || event.target.tagName !== "INPUT") {
            return;
        }
        const form = event.target.closest("[data-form]");
        if (form) {
            event.preventDefault();
            form.querySelector("[data-do]").click();
        } else if (event.target.closest("#bulk-dialog")) {
            event.preventDefault();
            document.getElementById("bulk-save").click();
        }
    });

    // Clientside callbacks -----------------------------------------------------------------------------------------------
    function choose(rows) {
        return (rows || []).map((row) => Number(row.feature_id));
    }

    function selected(features) {
        const count = (features || []).length;
        return [count ? count.toLocaleString("en") + (count === 1 ? " feature chosen" : " features chosen") : "", String(count)];
    }

    function done(found) {
        if (!found) {
            return ["", true];
        }
        if (dialog().open) {
            dialog().close();
        }
        const table = grid();
        if (table) {
            table.deselectAll();
        }
        return [found.words, !found.undo.length];
    }

    function refresh() {
        const table = grid();
        if (table) {
            table.refreshInfiniteCache();
        }
        return window.dash_clientside.no_update;
    }

    // Other conditions: the rows that are there are of no use.
    function purge() {
        const table = grid();
        if (table) {
            table.purgeInfiniteCache();
        }
        return window.dash_clientside.no_update;
    }

    function examples(data) {
        return window.dash_clientside.tokens.show(data, "snippet", "queue-examples");
    }

    // dcc.Upload's own field takes no name from the server.
    function nameUpload(id) {
        window.loupe.whenThere(id, (place) => place.querySelector("input").setAttribute("aria-label", "Dictionary file"), 60);
        return id;
    }

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.labelling = Object.assign(root.labelling || {}, {
        choose: choose,
        done: done,
        examples: examples,
        nameUpload: nameUpload,
        purge: purge,
        refresh: refresh,
        selected: selected,
        how: (how) => how,
    });
})();
