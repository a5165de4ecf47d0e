/** What every HTTP service here answers to those that it cannot serve. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test, type TestContext } from 'node:test'
import { DatabaseError, Pool } from 'pg'
import { findFreePort } from '../src/process/free-port.ts'
import { createApp, listen, ProblemError, type AppOptions } from '../src/index.ts'

async function start(t: TestContext, options?: AppOptions): Promise<number> {
  const app = await createApp('Test', 'cut', options)
  app.get('/things/:id', () => 'a thing')
  app.post('/things', () => 'made')
  app.get('/broken', () => {
    throw new ProblemError(409, 'No', { code: 'TOO_MUCH' })
  })
  t.after(() => app.close())
  return listen(app, 0)
}

function post(body: string, headers: Record<string, string>): RequestInit {
  return { method: 'POST', body, headers }
}

async function problemOf(port: number, path: string, init: RequestInit = {}) {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, init)
  assert.match(String(answer.headers.get('content-type')), /^application\/problem\+json/)
  const { type, code } = (await answer.json()) as Record<string, unknown>
  return [answer.status, code, type, answer.headers.get('allow')]
}

test('every error is a problem with a type and a code', async (t) => {
  const port = await start(t)
  const json = { 'content-type': 'application/json' }
  const urn = 'urn:milena:problem:'
  const cases = [
    ['/broken', {}, [409, 'TOO_MUCH', `${urn}too-much`, null]],
    ['/nothing', {}, [404, 'NOT_FOUND', `${urn}not-found`, null]],
    [
      '/things/1?x',
      { method: 'DELETE' },
      [405, 'METHOD_NOT_ALLOWED', `${urn}method-not-allowed`, 'GET, HEAD'],
    ],
    ['/things', {}, [405, 'METHOD_NOT_ALLOWED', `${urn}method-not-allowed`, 'POST']],
    ['/things/%zz', {}, [400, 'INVALID_REQUEST', `${urn}invalid-request`, null]],
    [`/things/${'x'.repeat(101)}`, {}, [400, 'INVALID_REQUEST', `${urn}invalid-request`, null]],
    ['/things', post('{', json), [400, 'INVALID_REQUEST', `${urn}invalid-request`, null]],
    [
      '/things',
      post('x', { 'content-type': 'text/csv' }),
      [415, 'UNSUPPORTED_MEDIA_TYPE', `${urn}unsupported-media-type`, null],
    ],
    [
      '/things',
      post('x', { 'content-type': 'text/plain' }),
      [415, 'UNSUPPORTED_MEDIA_TYPE', `${urn}unsupported-media-type`, null],
    ],
    ...[
      { ...json, 'content-encoding': 'gzip' },
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-type': 'application/json;charset="ISO-8859-1"' },
    ].map(
      (headers) =>
        [
          '/things',
          post('{}', headers),
          [415, 'UNSUPPORTED_MEDIA_TYPE', `${urn}unsupported-media-type`, null],
        ] as const,
    ),
    ['/things', post(`"${'x'.repeat(70_000)}"`, json), [413, 'BODY_TOO_LARGE', `${urn}body-too-large`, null]],
  ] as const
  for (const [path, init, expected] of cases) assert.deepEqual(await problemOf(port, path, init), expected)
})

test('a body that says that it is UTF-8, and as it stands, is taken', async (t) => {
  const port = await start(t)
  for (const headers of [
    { 'content-type': 'application/json; charset=utf-8', 'content-encoding': 'identity' },
    { 'content-type': 'application/json; charset="UTF-8"' },
  ])
    assert.equal((await fetch(`http://127.0.0.1:${port}/things`, post('{}', headers))).status, 200)
  // Without a body there is nothing that could be misread.
  const headers = { 'content-type': 'application/json; charset=utf-16', 'content-encoding': 'gzip' }
  assert.equal((await fetch(`http://127.0.0.1:${port}/things/1`, { headers })).status, 200)
})

test('the description says of every route that any other error is a problem', async (t) => {
  const answer = await fetch(`http://127.0.0.1:${await start(t)}/openapi.json`)
  const { paths } = (await answer.json()) as {
    paths: Record<string, Record<string, { responses: Record<string, { content: object }> }>>
  }
  const operations = Object.values(paths).flatMap((path) => Object.values(path))
  assert.equal(operations.length, 3)
  for (const { responses } of operations)
    assert.deepEqual(Object.keys(responses['default']!.content), ['application/problem+json'])
})

test('a database that is away is a problem that passes, and any other fault is none', async (t) => {
  const free = await findFreePort()
  const pool = new Pool({ host: '127.0.0.1', port: free })
  t.after(() => pool.end())
  t.mock.method(console, 'error', () => {})
  const app = await createApp('Test', 'cut')
  t.after(() => app.close())
  app.get('/away', () => pool.query('select 1'))
  app.get('/wrapped', async () => {
    await pool.query('select 1').catch((cause: unknown) => {
      throw new Error('the store failed', { cause })
    })
  })
  for (const [path, code] of [
    ['/ending', '57P01'],
    ['/full', '53300'],
    ['/unknown-column', '42703'],
  ] as const)
    app.get(path, () => {
      throw Object.assign(new DatabaseError('no', 2, 'error'), { code })
    })
  app.get('/bug', () => {
    throw new TypeError('no such property')
  })
  const port = await listen(app, 0)
  for (const path of ['/away', '/wrapped', '/ending', '/full']) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    assert.equal(answer.status, 503, path)
    assert.equal(answer.headers.get('retry-after'), '1', path)
    assert.match(String(answer.headers.get('content-type')), /^application\/problem\+json/)
  }
  for (const path of ['/unknown-column', '/bug'])
    assert.deepEqual((await problemOf(port, path))[0], 500, path)
})

for (const [what, sent] of [
  [
    'body',
    'POST /things HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
  ],
  ['head', 'POST /things HTTP/1.1\r\nhost: x\r\n'],
] as const) {
  test(`a connection with half a ${what} is answered with 408 and closed`, async (t) => {
    const port = await start(t, { requestTimeout: 300 })
    // It never closes its own half.
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    t.after(() => socket.destroy())
    socket.write(sent)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    assert.match(answer, /^HTTP\/1.1 408 .*application\/problem\+json.*"code":"REQUEST_TIMEOUT"/s)
  })
}
