// The Training page in the browser: which part of each chart one has zoomed into, the time machine's stepping, and the
// cells of its tables.
(function () {
    "use strict";

    const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

    // Name of the chart of a prop id: `training-curve-loss.relayoutData`, or a pattern's id as JSON.
    function chart(prop) {
        const id = prop.slice(0, prop.lastIndexOf("."));
        return id.startsWith("{") ? JSON.parse(id).name : id.replace("training-curve-", "");
    }

    // Zoomed ranges of the x axes by chart, as plotly gives them; `axis` says on which kind of axis that was.
    function zoom(...given) {
        const none = window.dash_clientside.no_update;
        const [x, log, known] = given.slice(-3);
        const axis = (x === "time" ? "time" : "step") + ((log || []).includes("x") ? "-log" : "");
        const zoomed = Object.assign({}, known);
        delete zoomed.last;
        let last = null;
        for (const item of window.dash_clientside.callback_context.triggered) {
            const change = item.value;
            if (!item.prop_id.endsWith(".relayoutData") || !change) {
                continue;
            }
            const name = chart(item.prop_id);
            const range = change["xaxis.range"] || [change["xaxis.range[0]"], change["xaxis.range[1]"]];
            if (change["xaxis.autorange"] && zoomed[name]) {
                delete zoomed[name];
                last = name;
            } else if (range[0] !== undefined && range[1] !== undefined) {
                zoomed[name] = {axis: axis, range: range};
                last = name;
            }
        }
        return last === null ? none : Object.assign(zoomed, {last: last});
    }

    // Play moves the slider on with every tick and stops at its end; from the end it begins anew.
    function play(clicks, ticks, isPaused, value, max) {
        const none = window.dash_clientside.no_update;
        const cause = window.dash_clientside.callback_context.triggered.map((item) => item.prop_id.split(".")[0]);
        const here = Number(value);
        if (cause.includes("training-play")) {
            return [!isPaused, isPaused && here >= max ? 0 : none];
        }
        if (isPaused || here >= max) {
            return [true, none];
        }
        return [here + 1 >= max, here + 1];
    }

    function showPlaying(isPaused) {
        const button = document.getElementById("training-play");
        if (button) {
            const words = isPaused ? "Play the snapshots" : "Stop";
            button.setAttribute("aria-label", words);
            button.title = words;
            button.firstElementChild.className = "icon icon-" + (isPaused ? "play" : "stop");
        }
        return isPaused ? "" : "playing";
    }

    // The step under each stop of the slider; of many, the powers of ten and both ends.
    function showMarks(facts) {
        const place = document.getElementById("training-step-marks");
        const steps = (facts && facts.steps) || [];
        const last = steps.length - 1;
        const isShown = (step, i) => last <= 12 || i === 0 || i === last || (/^10*$/.test(step) && i < last - 1);
        const short = (step) => (step % 1e5 === 0 && step >= 1e6 ? step / 1e6 + "M" : step % 100 === 0 && step >= 1e3 ? step / 1e3 + "k" : String(step));
        const made = steps.map(function (step, i) {
            const mark = document.createElement("span");
            mark.className = "training-mark";
            mark.style.left = (100 * i) / Math.max(last, 1) + "%";
            mark.textContent = isShown(step, i) ? short(step) : "";
            return mark;
        });
        if (place) {
            place.replaceChildren(...made);
        }
        return String(steps.length);
    }

    // Previous and next feature, around the ends. The box itself is the state, so that quick presses all count.
    document.addEventListener("click", function (event) {
        const pressed = event.target.closest ? event.target.closest("#training-previous, #training-next") : null;
        const box = document.getElementById("training-feature");
        if (!pressed || !box) {
            return;
        }
        const count = Number(box.max) + 1;
        const here = Math.min(Math.max(Math.trunc(Number(box.value)) || 0, 0), count - 1);
        const wanted = (here + (pressed.id === "training-next" ? 1 : count - 1)) % count;
        box.value = String(wanted);
        window.dash_clientside.set_props("training-feature", {value: wanted});
    });

    // Ids of the ticked runs: rows once the table is there, ids where the page asked for them.
    function choose(selected, known) {
        const ids = Array.isArray(selected) ? selected.map((row) => row.id) : selected ? selected.ids : known;
        const isSame = ids.length === known.length && ids.every((id) => known.includes(id));
        return isSame ? window.dash_clientside.no_update : ids;
    }

    function toggle(clicks, isOpen) {
        return [!isOpen, String(!isOpen)];
    }

    // A cell whose number sets a control: dash-ag-grid's own way to report it (setData) makes AG Grid complain.
    function button(words, title, control, value) {
        const given = {type: "button", className: "cell-follow num", title: title, tabIndex: -1};
        given.onClick = () => window.dash_clientside.set_props(control, {value: value});
        return window.React.createElement("button", Object.assign({key: "follow"}, given), words);
    }

    cells.SnapshotFeature = function (props) {
        const make = window.React.createElement;
        const parts = [button("#" + props.value, "Follow this feature", "training-feature", props.value)];
        if (props.data.href) {
            const open = (event) => {
                if (event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
                    event.preventDefault();
                    window.loupe.go(props.data.href);
                }
            };
            const link = {key: "open", href: props.data.href, className: "cell-open", tabIndex: -1, onClick: open};
            parts.push(make("a", link, "open"));
        }
        return make("span", null, parts);
    };

    cells.SnapshotStep = function (props) {
        const words = Number(props.value).toLocaleString("en");
        return button(words, "Show this step", "training-step", props.data.place);
    };

    // The keyboard moves from cell to cell; Enter does what a click on the cell's number does.
    document.addEventListener("keydown", function (event) {
        const cell = event.key === "Enter" && event.target.classList && event.target.classList.contains("ag-cell");
        const found = cell ? event.target.querySelector("button.cell-follow") : null;
        if (found) {
            found.click();
        }
    });

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.training = {
        choose: choose, zoom: zoom, play: play, showPlaying: showPlaying, toggle: toggle, showMarks: showMarks,
    };
})();
