// A file of its own, because the page's policy allows no script within it.
// @ts-expect-error: swagger-ui-bundle.js declares it
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
