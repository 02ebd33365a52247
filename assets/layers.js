// Cells of the Layers page's table: a feature's number as a link, its label or its strongest tokens.
(function () {
    "use strict";

    const cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

    cells.MatchedFeature = function (props) {
        const make = window.React.createElement;
        const found = props.data ? props.data[props.side + "_shown"] : null;
        if (!found) {
            return make("span", {className: "muted"}, "none");
        }
        const link = {href: found.href, className: "feature-link num", tabIndex: -1, title: "Open the feature"};
        const parts = [make("a", Object.assign({key: "id"}, link), "#" + props.value)];
        if (found.name) {
            parts.push(make("span", {key: "name", className: "layers-name"}, found.name));
        } else {
            found.tokens.forEach((token, i) => parts.push(make("span", {key: i, className: "chip"}, token)));
        }
        return make("span", {className: props.data.is_linked ? "layers-cell" : "layers-cell is-apart-" + props.side}, parts);
    };

    // A hook point's name, and the SAEs that are there already.
    cells.AdvisedHook = function (props) {
        const make = window.React.createElement;
        const parts = [make("div", {key: "hook", className: "token-text"}, props.value)];
        if (props.data.saes.length) {
            parts.push(make("div", {key: "saes", className: "advice-saes"}, "has " + props.data.saes.join(", ")));
        }
        return make("div", null, parts);
    };

    const marks = {for: ["+", "speaks for it: "], against: ["−", "speaks against it: "], note: ["·", "to know: "]};

    cells.AdviceReasons = function (props) {
        const make = window.React.createElement;
        const lines = props.value.map(function (reason, i) {
            const mark = marks[reason.kind];
            const sign = make("span", {key: 0, className: "advice-mark is-" + reason.kind, "aria-label": mark[1], role: "img"}, mark[0]);
            return make("li", {key: i}, [sign, make("span", {key: 1}, reason.text)]);
        });
        return make("ul", {className: "advice-reasons"}, lines);
    };

    // The address names the SAE whose weights are shown; everything else in it stays.
    function nameWeights(sae) {
        const address = new URL(window.location.href);
        address.searchParams.set("weights", sae);
        window.dash_clientside.loupe.writeUrl(address.pathname + address.search);
        return window.dash_clientside.no_update;
    }

    const root = (window.dash_clientside = window.dash_clientside || {});
    root.layers = Object.assign(root.layers || {}, {nameWeights: nameWeights});
})();
