// Light or dark before anything is drawn; the choice is kept in this browser, nothing else is.
{
  const chosen = (() => {
    try {
      return localStorage.getItem("moe-theme");
    } catch {
      return null;
    }
  })();
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
