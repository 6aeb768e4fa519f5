// Sends the example to the endpoint and shows what it answers.
const form = document.querySelector("form[data-try]");
const most = 20000;

async function ask() {
  const took = form.querySelector("[data-took]");
  const answer = form.querySelector("[data-answer]");
  const button = form.querySelector("button");
  button.disabled = true;
  took.textContent = "asking…";
  const begin = performance.now();
  try {
    const body = form.elements.body.value;
    JSON.parse(body);
    const reply = await fetch(form.dataset.try, { method: "POST", body, headers: { "content-type": "application/json" } });
    const text = await reply.text();
    took.textContent = `HTTP ${reply.status} in ${Math.round(performance.now() - begin)} ms`;
    answer.textContent = pretty(text).slice(0, most);
  } catch (error) {
    took.textContent = "not sent";
    answer.textContent = String(error.message);
  }
  answer.hidden = false;
  button.disabled = false;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2).replace(/\[\s+([^[\]{}]*?)\s+\]/g, (_, inside) => `[${inside.replace(/\s+/g, " ")}]`);
  } catch {
    return text;
  }
}

if (form) {
  form.querySelector("[data-js]").disabled = false;
  form.querySelector("[data-took]").textContent = "";
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
}
