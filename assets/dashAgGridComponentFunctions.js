// Cells of the Explorer's table. Text goes in as text (React), histograms as SVG drawn from counts.
(function () {
    "use strict";

    const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
    const make = function (...given) {
        return window.React.createElement(...given);
    };

    function open(event, href) {
        if (event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey) {
            event.preventDefault();
            window.loupe.go(href);
        }
    }

    cells.FeatureLink = function (props) {
        if (!props.data) {
            return make("span", {className: "cell-waiting"});
        }
        const href = props.data.href;
        const attributes = {href: href, className: "explorer-open num", tabIndex: -1, onClick: (event) => open(event, href)};
        return make("a", attributes, props.data.feature_id);
    };

    // The label, and for those who may the pencil that opens its editor.
    cells.FeatureLabel = function (props) {
        if (!props.data) {
            return null;
        }
        const label = make("span", {className: "cell-label"}, props.value);
        if (!props.data.edit) {
            return label;
        }
        const words = "Edit the label of feature " + props.data.feature_id;
        const pencil = {className: "cell-edit", type: "button", title: words, "aria-label": words, tabIndex: -1, "data-edit-label": props.data.edit};
        return make("span", {className: "cell-named"}, label, make("button", pencil, make("span", {className: "icon icon-pencil", "aria-hidden": "true"})));
    };

    cells.Tokens = function (props) {
        if (!props.data) {
            return null;
        }
        if (props.value === null) {
            return make("span", {className: "muted"}, "being computed");
        }
        return props.value.map((token, i) => make("span", {className: "chip", key: i}, token));
    };

    // One bar per bin over [0, max], heights on a square-root scale so that the tail stays visible.
    cells.Sparkline = function (props) {
        if (!props.data) {
            return null;
        }
        const counts = props.data.counts;
        if (counts === null) {
            return props.data.is_dead ? null : make("span", {className: "muted"}, "computing");
        }
        const highest = Math.max(...counts);
        if (highest === 0) {
            return null;
        }
        const bars = counts
            .map((n, i) => {
                const height = n === 0 ? 0 : Math.max(1, 18 * Math.sqrt(n / highest));
                return "M" + (i * 4 + 0.5) + " 20h3v-" + height.toFixed(1) + "h-3z";
            })
            .join("");
        const box = {className: "sparkline", viewBox: "0 0 96 20", role: "img", "aria-label": props.data.shape};
        return make("svg", box, make("title", null, props.data.shape), make("path", {d: bars}));
    };

    cells.Flag = function (props) {
        if (!props.value) {
            return null;
        }
        return make("span", {className: "badge badge-" + (props.value === "dead" ? "dead" : "warning")}, props.value);
    };

    cells.Status = function (props) {
        if (!props.value) {
            return null;
        }
        const kind = props.value === "labelled" ? "badge badge-accent" : "muted";
        return make("span", {className: kind}, props.value);
    };
})();
