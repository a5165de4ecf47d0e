/** The page at `/`: what this is, where to go on, and a form to pay. */
import type { App } from '@milena/hosting'
import { methods } from '../operations.ts'

const links = {
  '/openapi.json': 'the interface, as OpenAPI',
  '/dead-letters': 'payments whose outcome nobody knew when their caller was answered',
  '/stats': 'figures of this gateway',
  '/health': 'it is alive',
  '/ready': 'it takes payments',
}

export function addHomePage(app: App, name: string): void {
  const page = render(name)
  app.get('/', { schema: { hide: true } }, (_request, reply) =>
    reply.type('text/html; charset=utf-8').header('content-security-policy', policy).send(page),
  )
}

/** Nothing is loaded from elsewhere. */
const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'"

function render(name: string): string {
  const items = Object.entries(links).map(([path, what]) => `<li><a href="${path}">${path}</a>: ${what}</li>`)
  const options = methods.map((method) => `<option>${method}</option>`)
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Payment gateway ${name}</title>
<style>body{font:1rem/1.5 system-ui;max-width:42rem;margin:2rem auto;padding:0 1rem}label{display:block;margin:.5rem 0}pre{white-space:pre-wrap}</style>
<h1>Payment gateway, ${name}</h1>
<p>It takes a payment over HTTP, asks a worker for it over Kafka, and answers with the outcome. The provider that the workers ask only plays one: no money moves.</p>
<form>
<label>Order <input name="orderId" required pattern="[A-Za-z0-9._:~\\-]{1,100}"></label>
<label>Amount, in cents <input name="amount" type="number" min="1" step="1" value="9900" required></label>
<label>Method <select name="method">${options.join('')}</select></label>
<button>Pay</button>
</form>
<pre id="answer" aria-live="polite"></pre>
<ul>
${items.join('\n')}
</ul>
<script>
const form = document.querySelector('form'), answer = document.querySelector('#answer')
form.orderId.value = 'order-' + Date.now()
form.onsubmit = async (event) => {
  event.preventDefault()
  answer.textContent = '…'
  const order = { orderId: form.orderId.value, amount: Number(form.amount.value), method: form.method.value }
  try {
    const response = await fetch('/payments', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(order),
    })
    answer.textContent = response.status + ' ' + JSON.stringify(await response.json(), null, 2)
  } catch (error) {
    answer.textContent = String(error)
  }
}
</script>
</html>
`
}
