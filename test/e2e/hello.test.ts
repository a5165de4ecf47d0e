import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { after, afterEach, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openKafka, springProfile, type IncomingRecord } from '@milena/request-reply'
import { openTestCluster, type TestCluster } from '../support/cluster.ts'
import { waitFor } from '../support/wait-for.ts'

const main = fileURLToPath(new URL('../../systems/prepaid/src/main.ts', import.meta.url))

let cluster: TestCluster
const running = new Set<ChildProcess>()
before(async () => {
  cluster = await openTestCluster()
  for (const topic of ['request-topic', 'reply-topic']) cluster.own(topic)
})
afterEach(async () => {
  for (const child of running) {
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
})
after(() => cluster.close())

interface Hello {
  readonly child: ChildProcess
  readonly output: () => string
}

function hello(args: string[], brokers: readonly string[] | undefined): Hello {
  const environment = { ...process.env, KAFKA_BROKERS: brokers?.join(',') ?? '' }
  const child = spawn(process.execPath, ['--conditions=x-source', main, ...args], { env: environment })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += String(chunk)))
  running.add(child)
  child.once('exit', () => running.delete(child))
  return { child, output: () => output }
}

async function ended({ child }: Hello): Promise<number | null> {
  const [status] = (await once(child, 'close')) as [number | null]
  return status
}

test('npm run hello asks, is answered, and shows request, reply and the 16 bytes', async () => {
  const run = hello(['--exit'], cluster.brokers)
  assert.equal(await ended(run), 0, run.output())
  const output = run.output()
  assert.match(output, /^in request value : hello$/m)
  assert.match(output, /^in progress$/m)
  assert.match(
    output,
    /out request : topic = request-topic, partition = \d+, offset = \d+, key = [0-9a-f-]{36}$/m,
  )
  const bytes = /kafka_correlationId = \[([-\d, ]+)\]\]/.exec(output)?.[1]?.split(', ')
  assert.equal(bytes?.length, 16, output)
  // As Java shows them. That none of sixteen is above 127 by chance, signed or not, is one case in 65,536.
  assert.ok(
    bytes.every((byte) => Number(byte) <= 127),
    output,
  )
  assert.match(output, /topic = reply-topic, partition = \d+, offset = \d+.*value = say : hello$/m)
  assert.match(output, /^GET \/test\/sendEvent\?str=hello -> 200 say : hello$/m)
})

test('GET /test/sendEvent says what is asked, and answers 504 as a problem when nobody replies', async () => {
  const requester = hello(['--role', 'requester'], cluster.brokers)
  const url = await waitFor(() => /curl '(http:\S+?)\?/.exec(requester.output())?.[1], {
    what: 'the requester',
  })
  const silent = await fetch(`${url}?str=nobody`)
  assert.equal(silent.status, 504)
  assert.equal(silent.headers.get('content-type'), 'application/problem+json')
  assert.equal(((await silent.json()) as { code: string }).code, 'MILENA_TIMEOUT')
  const invalid = await fetch(url)
  assert.equal(invalid.status, 400)

  const replier = hello(['--role', 'replier'], cluster.brokers)
  await waitFor(() => /ready/.test(replier.output()), { what: 'the replier' })
  const answered = await fetch(`${url}?str=${encodeURIComponent('안녕 ?&')}`)
  assert.equal(answered.status, 200)
  assert.equal(await answered.text(), 'say : 안녕 ?&')
})

test('the replier alone answers a request as Spring writes it, as Spring answers', async () => {
  const replier = hello(['--role', 'replier'], cluster.brokers)
  await waitFor(() => /ready/.test(replier.output()), { what: 'the replier' })
  await using transport = await openKafka({ brokers: cluster.brokers })
  const replies: IncomingRecord[] = []
  await transport.createTopics([{ name: 'reply-topic', partitions: 6 }])
  await transport.tail({
    topic: 'reply-topic',
    partitions: 'all',
    from: 'latest',
    onRecords: (records) => void replies.push(...records),
  })
  const correlationId = Buffer.from('4c225518 7f7f4d29 80799105 17a3e4a9'.replaceAll(' ', ''), 'hex')
  await transport.send({
    topic: 'request-topic',
    key: Buffer.from('eef74a7b-4190-4e50-948a-1b2d16afd792'),
    value: Buffer.from('test'),
    headers: [
      [Buffer.from('kafka_replyTopic'), Buffer.from('reply-topic')],
      [Buffer.from('kafka_correlationId'), correlationId],
    ],
  })
  const reply = await waitFor(
    () => replies.find(({ headers }) => springProfile.readCorrelation(headers)?.equals(correlationId)),
    { what: 'the reply' },
  )
  assert.equal(reply.value?.toString(), 'say : test')
  assert.equal(reply.key?.toString(), 'eef74a7b-4190-4e50-948a-1b2d16afd792')
  assert.deepEqual(
    reply.headers.map(([name]) => name.toString()),
    ['kafka_correlationId'],
  )
})

test('what cannot work is one line and status 2', async () => {
  for (const [args, expected] of [
    [['--role', 'both'], /--role must be requester or replier/],
    [['--role', 'replier'], /KAFKA_BROKERS/],
    [['--port', '70000'], /--port/],
    [['--loud'], /--loud.*--help/],
  ] as const) {
    const run = hello([...args], undefined)
    assert.equal(await ended(run), 2, run.output())
    assert.match(run.output(), expected)
    assert.equal(run.output().trim().split('\n').length, 1, run.output())
  }
  const unreachable = hello(['--exit'], ['127.0.0.1:9'])
  assert.equal(await ended(unreachable), 2, unreachable.output())
  assert.match(unreachable.output(), /no broker answers at 127\.0\.0\.1:9/)
})
