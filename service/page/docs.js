// In a file of its own, because the Content-Security-Policy forbids inline scripts.
// @ts-expect-error: swagger-ui-bundle.js declares it
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null });
