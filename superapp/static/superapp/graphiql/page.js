// Starts GraphiQL with our examples. Everything comes from this site; nothing is fetched from elsewhere.
(function () {
  "use strict";
  const h = React.createElement;
  const examples = JSON.parse(document.getElementById("examples").textContent);
  const endpoint = document.getElementById("graphiql").dataset.endpoint;

  // Each use of an example that moves money is a request of its own: {{uuid}} becomes a fresh idempotency key.
  const fresh = (text) => text.replaceAll("{{uuid}}", () => crypto.randomUUID());

  function Examples() {
    const editors = GraphiQL.React.useEditorContext({ nonNull: true });
    const [wanted, want] = React.useState(null);
    React.useEffect(() => {
      if (wanted === null || !editors.queryEditor) return;
      editors.queryEditor.setValue(wanted.query);
      editors.variableEditor?.setValue(fresh(wanted.variables));
      want(null);
    }, [wanted, editors.activeTabIndex]);
    return h(
      React.Fragment,
      null,
      h("div", { className: "graphiql-doc-explorer-title" }, "Examples"),
      h("p", null, "Each works as it stands on this sandbox. Sign in above, choose one, and press the pink button."),
      h(
        "ul",
        { className: "examples" },
        examples.map((example) =>
          h(
            "li",
            { key: example.name },
            h(
              "button",
              {
                type: "button",
                onClick: () => {
                  editors.addTab();
                  want(example);
                },
              },
              h("strong", null, example.title),
              h("span", null, example.description),
            ),
          ),
        ),
      ),
    );
  }

  const icon = () =>
    h(
      "svg",
      { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 1.5, width: "1em", height: "1em" },
      h("path", { d: "M8 6h12M8 12h12M8 18h12M3.5 6h.01M3.5 12h.01M3.5 18h.01", strokeLinecap: "round" }),
    );
  const plugin = { title: "Examples", icon, content: Examples };

  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    h(GraphiQL, {
      fetcher: GraphiQL.createFetcher({ url: endpoint, fetch: (url, options) => fetch(url, { ...options, credentials: "same-origin" }) }),
      defaultTabs: examples.slice(0, 1).map((example) => ({ query: example.query, variables: fresh(example.variables) })),
      defaultQuery: "",
      plugins: [plugin],
      visiblePlugin: plugin,
      inputValueDeprecation: true,
      defaultEditorToolsVisibility: "variables",
      isHeadersEditorEnabled: true,
    }),
  );
})();
