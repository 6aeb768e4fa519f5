// Before the first paint: the theme the reader chose, else the system's.
try {
  const theme = localStorage.getItem("relive-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's theme holds then.
}
