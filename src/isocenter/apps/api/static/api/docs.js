// The API's description as Swagger UI. Calls from here use the session, so they carry its CSRF token.

const place = document.getElementById("swagger-ui");
const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
const root = document.documentElement;

function followTheme() {
  root.classList.toggle("dark-mode", root.dataset.bsTheme === "dark");
}
new MutationObserver(followTheme).observe(root, { attributeFilter: ["data-bs-theme"] });
followTheme();

window.SwaggerUIBundle({
  url: place.dataset.openapi,
  domNode: place,
  layout: "BaseLayout",
  docExpansion: "list",
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (new URL(request.url, location.href).origin === location.origin) {
      request.headers["X-CSRFToken"] = token;
    }
    return request;
  },
});
