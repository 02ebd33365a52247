// A callback that the server refuses says why: the sentence goes to the message bar; who was logged out gets the way in.
(function () {
    "use strict";

    const CALLBACKS = "/_dash-update-component";
    const send = window.fetch.bind(window);

    function say(status, sentence) {
        const login = {namespace: "dash_html_components", type: "A", props: {children: "Log in", href: here()}};
        const children = status === 401 ? ["You are no longer logged in. ", login] : sentence;
        window.dash_clientside.set_props("shell-message", {children: children, is_open: true});
    }

    function here() {
        return "/login?next=" + encodeURIComponent(window.location.pathname + window.location.search);
    }

    window.fetch = async function (address, options) {
        const response = await send(address, options);
        const asked = new URL(typeof address === "string" ? address : address.url || String(address), window.location.href);
        if ((response.status === 401 || response.status === 403) && asked.pathname === CALLBACKS) {
            const said = await response.clone().json().catch(() => ({}));
            say(response.status, said.error || "The server refused this.");
        }
        return response;
    };
})();
