import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startEmbeddedKafka } from '../src/index.ts'
import { missing, runCommand } from './support/command.ts'

const skip = missing('kcat', '-V')

test(
  'kcat (librdkafka) lists, produces in every codec and idempotently, and reads all of it back',
  { skip },
  async () => {
    await using broker = await startEmbeddedKafka({ topics: ['t:2'] })
    const server = broker.brokers.join()
    const listed = await runCommand('kcat', ['-b', server, '-L'])
    assert.match(listed.stdout, /topic "t" with 2 partitions/)

    const sent: string[] = []
    for (const codec of ['none', 'gzip', 'snappy', 'lz4']) {
      const lines = [1, 2, 3].map((index) => `${codec} ${index} ${'again'.repeat(100)}`)
      sent.push(...lines)
      const options = ['-P', '-t', 't', '-p', '1', '-z', codec, '-X', 'enable.idempotence=true']
      const produced = await runCommand('kcat', ['-b', server, ...options], `${lines.join('\n')}\n`)
      assert.deepEqual([produced.status, produced.stderr], [0, ''])
    }
    const read = await runCommand('kcat', ['-b', server, '-C', '-t', 't', '-p', '1', '-e', '-q'])
    assert.deepEqual(read.stdout.trimEnd().split('\n'), sent)

    const latest = await runCommand('kcat', ['-b', server, '-Q', '-t', 't:1:-1'])
    assert.match(latest.stdout, /offset 12/)
    const grouped = await runCommand('kcat', [
      '-b',
      server,
      '-G',
      'g',
      '-q',
      '-c',
      '12',
      '-o',
      'beginning',
      't',
    ])
    assert.equal(grouped.stdout.trimEnd().split('\n').length, 12)
  },
)

test('librdkafka compresses: Produce is told from version 0 on', { skip }, async () => {
  await using broker = await startEmbeddedKafka({ topics: ['t'] })
  const args = ['-b', broker.brokers.join(), '-P', '-t', 't', '-z', 'lz4']
  const produced = await runCommand('kcat', args, 'x'.repeat(500_000))
  assert.equal(produced.status, 0)
  // The first segment of a log holds 8 KiB; half a megabyte of one letter fits only if it was packed.
  assert.ok(broker.stats().logBytes >= 8192)
})

test('kcat is told of a topic that does not exist', { skip }, async () => {
  await using broker = await startEmbeddedKafka()
  const args = [
    '-b',
    broker.brokers.join(),
    '-C',
    '-t',
    'nope',
    '-e',
    '-X',
    'topic.metadata.propagation.max.ms=0',
  ]
  const read = await runCommand('kcat', args)
  assert.match(read.stderr, /Unknown topic or partition/)
})
