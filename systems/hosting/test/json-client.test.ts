/** Calls over HTTP: what a caller is told when the answer is whole, is cut off, or does not come. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { HttpTimeout, JsonClient } from '../src/http/json-client.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** A client of a server that answers so, with one connection. */
async function clientOf(t: TestContext, handle: Handler): Promise<JsonClient> {
  const server = createServer(handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = new JsonClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, 1)
  t.after(() => {
    client.close()
    server.closeAllConnections()
    server.close()
  })
  return client
}

const call = { method: 'POST', path: '/', body: { amount: 1 }, timeout: 10_000 } as const

test('an answer of any status is told, with its headers; a body that is no JSON is none', async (t) => {
  const client = await clientOf(t, (request, response) => {
    response.writeHead(402, { 'x-key': request.headers['idempotency-key'] ?? 'none' })
    if (request.method === 'GET') response.end('no JSON')
    else request.pipe(response)
  })
  const told = await client.call({ ...call, headers: { 'idempotency-key': 'k' } })
  assert.deepEqual([told.status, told.headers['x-key'], told.body], [402, 'k', { amount: 1 }])
  assert.equal((await client.call({ method: 'GET', path: '/', timeout: 10_000 })).body, undefined)
})

test('an answer that is cut off is an error, and the next call has a connection again', async (t) => {
  let calls = 0
  const client = await clientOf(t, (_request, response) => {
    if (++calls > 1) response.end('{}')
    else response.writeHead(200, { 'content-length': 100 }).write('{"half":', () => response.destroy())
  })
  await assert.rejects(client.call(call), (error) => !(error instanceof HttpTimeout))
  assert.deepEqual((await client.call(call)).body, {})
})

test('whoever waits too long is told so, and what was still waiting for a connection is never sent', async (t) => {
  const paths: (string | undefined)[] = []
  const client = await clientOf(t, ({ url }, response) => {
    paths.push(url)
    if (url === '/last') response.end('{}')
  })
  const silent = client.call({ ...call, path: '/silent', timeout: 200 })
  const waiting = client.call({ ...call, path: '/waiting', timeout: 1 })
  await assert.rejects(waiting, HttpTimeout)
  await assert.rejects(silent, HttpTimeout)
  await client.call({ ...call, path: '/last' })
  assert.ok(!paths.includes('/waiting'), paths.join(', '))
})
