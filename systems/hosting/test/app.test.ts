/** What every service of a system says of requests that it cannot take. */
import { createApp } from '@milena/hosting'
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { z } from 'zod'

async function open(t: TestContext): Promise<Awaited<ReturnType<typeof createApp>>> {
  const app = await createApp('Test', 'cut', { bodyLimit: 100 })
  t.after(() => app.close())
  app.get('/things/:id', () => ({}))
  app.post('/things/:id/parts', { schema: { body: z.strictObject({ name: z.string() }) } }, () => ({}))
  return app
}

test('another method than a path has is 405, with those that it has', async (t) => {
  const app = await open(t)
  const answer = await app.inject({ method: 'DELETE', url: '/things/a.b?x=1' })
  assert.equal(answer.statusCode, 405)
  assert.equal(answer.headers['allow'], 'GET, HEAD')
  assert.match(String(answer.headers['content-type']), /^application\/problem\+json/)
  assert.equal((await app.inject('/things/a/parts')).headers['allow'], 'POST')
})

test('a path that there is not is 404, whatever the method', async (t) => {
  const app = await open(t)
  for (const method of ['GET', 'POST'] as const)
    for (const url of ['/thing', '/things', '/things/a/b', '/things/a/parts/b'])
      assert.equal((await app.inject({ method, url })).statusCode, 404, `${method} ${url}`)
})

test('a body beyond the limit is 413', async (t) => {
  const app = await open(t)
  const parts = { method: 'POST', url: '/things/a/parts' } as const
  assert.equal((await app.inject({ ...parts, payload: { name: 'x'.repeat(80) } })).statusCode, 200)
  assert.equal((await app.inject({ ...parts, payload: { name: 'x'.repeat(100) } })).statusCode, 413)
})
