/** What every service of a system says of requests that it cannot take. */
import { createApp, idSchema, textSchema } from '@milena/hosting'
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

test('what a store behind would not keep as it is, or a path would not carry, is refused in front', async (t) => {
  const app = await open(t)
  app.get('/kept/:id', { schema: { params: z.object({ id: textSchema }) } }, () => ({}))
  app.get('/named/:id', { schema: { params: z.object({ id: idSchema }) } }, () => ({}))
  const statusOf = async (path: string): Promise<number> => (await app.inject(path)).statusCode
  assert.deepEqual([await statusOf('/kept/a%20%F0%9F%92%8C'), await statusOf('/kept/a%00')], [200, 400])
  assert.equal(textSchema.safeParse('\u{d83d}').success, false)
  for (const id of ['a', '...', '.a', 'a.'.repeat(50)]) assert.equal(await statusOf(`/named/${id}`), 200, id)
  for (const id of ['', '.', '..', 'a/b', 'a b', 'a'.repeat(101)])
    assert.equal(idSchema.safeParse(id).success, false, id)
})
