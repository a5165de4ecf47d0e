import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import type { MilenaError } from '../../src/errors.ts'
import { Connections } from '../../src/transport/kafka/connection/connections.ts'
import { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { openKafka } from '../../src/transport/kafka/open-kafka.ts'
import { resolveKafkaOptions } from '../../src/transport/kafka/options.ts'
import { commonVersion } from '../../src/transport/kafka/connection/versions.ts'
import type { Api } from '../../src/transport/kafka/protocol/api.ts'
import { produceApi } from '../../src/transport/kafka/sending/produce.ts'
import { until } from './until.ts'
import { startRefusingBroker, startSelfSignedBroker, startSilentBroker } from './stub-brokers.ts'

let broker: EmbeddedKafka
before(async () => {
  broker = await startEmbeddedKafka({ topics: ['here:3', 'there:1'] })
})
after(() => broker.close())

async function withMetadata(
  brokers: readonly string[],
  use: (metadata: Metadata) => Promise<void>,
): Promise<void> {
  const connections = new Connections(resolveKafkaOptions({ brokers, requestTimeout: 1_500 }))
  const metadata = new Metadata(connections)
  try {
    await use(metadata)
  } finally {
    await metadata.close()
    await connections.close()
  }
}

function namesTls(error: MilenaError): boolean {
  const codes = ['MILENA_AUTHENTICATION_FAILED', 'MILENA_BROKER_UNREACHABLE']
  return codes.includes(error.code) && /\btls\b/.test(error.message)
}

describe('connecting to Kafka', () => {
  test('fails when nobody listens, naming the brokers and what to do', async () => {
    await assert.rejects(openKafka({ brokers: ['127.0.0.1:1', '127.0.0.1:2'] }), (error: MilenaError) => {
      assert.equal(error.code, 'MILENA_BROKER_UNREACHABLE')
      assert.match(error.message, /127\.0\.0\.1:1, 127\.0\.0\.1:2.*ECONNREFUSED.*check that it runs/)
      return true
    })
  })

  test('fails in time when a broker accepts connections and says nothing', async () => {
    await using silent = await startSilentBroker()
    const opening = openKafka({ brokers: [silent.address], requestTimeout: 200 })
    await assert.rejects(opening, { code: 'MILENA_BROKER_UNREACHABLE' })
  })

  test('works although the first broker of the list hangs (trap N2)', async () => {
    await using silent = await startSilentBroker()
    const transport = await openKafka({ brokers: [silent.address, ...broker.brokers], requestTimeout: 1_500 })
    try {
      const position = await transport.send({
        topic: 'here',
        partition: 1,
        key: null,
        value: null,
        headers: [],
      })
      assert.equal(position.partition, 1)
    } finally {
      await transport.close()
    }
  })

  test('with a wrong password fails at once and says so (trap N8)', async () => {
    await using refusing = await startRefusingBroker()
    const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const
    await assert.rejects(openKafka({ brokers: [refusing.address], sasl }), (error: MilenaError) => {
      assert.equal(error.code, 'MILENA_AUTHENTICATION_FAILED')
      assert.match(error.message, /SASL authentication failed/)
      return true
    })
    assert.equal(refusing.connections, 1)
  })

  test('does not say that a broker is down when another refuses the password (trap N8)', async () => {
    await using refusing = await startRefusingBroker()
    const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const
    const opening = openKafka({ brokers: ['127.0.0.1:1', refusing.address], sasl })
    await assert.rejects(opening, { code: 'MILENA_AUTHENTICATION_FAILED' })
  })

  test('with a login where the broker has none says which option that is', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'u', password: 'p' } as const
    await assert.rejects(openKafka({ brokers: broker.brokers, sasl }), (error: MilenaError) => {
      assert.equal(error.code, 'MILENA_BROKER_ERROR')
      assert.match(error.message, /broker 127\.0\.0\.1:\d+ .* no login \(SASL\); leave out the option sasl/)
      return true
    })
  })

  test('with a certificate that is not trusted fails at once and says so (trap N8)', async () => {
    await using server = await startSelfSignedBroker()
    await assert.rejects(openKafka({ brokers: [server.address], tls: true }), (error: MilenaError) => {
      assert.equal(error.code, 'MILENA_AUTHENTICATION_FAILED')
      assert.match(error.message, /self-signed certificate/)
      return true
    })
  })

  test('with TLS to a broker without it, or without TLS to one that has it, says so', async () => {
    await using server = await startSelfSignedBroker()
    await assert.rejects(openKafka({ brokers: [server.address], requestTimeout: 500 }), namesTls)
    await assert.rejects(openKafka({ brokers: broker.brokers, tls: true, connectTimeout: 500 }), namesTls)
  })
})

describe('versions', () => {
  const api = { ...produceApi, versions: { oldest: 9, newest: 11 } } as Api<never, unknown>
  const offer = (min: number, max: number): number =>
    commonVersion(api, new Map([[0, { min, max }]]), 'host:9092')
  test('are the newest that both sides have', () => {
    assert.deepEqual([offer(0, 9), offer(3, 10), offer(3, 11), offer(9, 13)], [9, 10, 11, 11])
  })
  test('that do not meet are an error that names both', () => {
    assert.throws(() => offer(12, 13), /9 to 11.*host:9092.*12 to 13/)
    assert.throws(() => commonVersion(api, new Map(), 'host:9092'), /Produce.*does not offer/)
  })
})

describe('metadata', () => {
  test('is asked for once, however many ask, and again by those who ask while an answer is under way', () =>
    withMetadata(broker.brokers, async (metadata) => {
      let answers = 0
      metadata.onChange(() => answers++)
      metadata.watch('here')
      const early = Array.from({ length: 50 }, () => metadata.refresh())
      await new Promise(setImmediate)
      metadata.watch('there')
      const late = Array.from({ length: 50 }, () => metadata.refresh())
      await Promise.all(early)
      assert.equal(answers, 1)
      await Promise.all(late)
      assert.equal(answers, 2)
      assert.equal(metadata.topic('here')!.partitions.length, 3)
      assert.equal(metadata.topic('there')!.partitions.length, 1)
    }))

  test('keeps the trouble of one topic from the others (trap N6)', () =>
    withMetadata(broker.brokers, async (metadata) => {
      for (const topic of ['here', 'nowhere']) metadata.watch(topic)
      await metadata.refresh()
      assert.notEqual(metadata.leader('here', 2), undefined)
      assert.equal(metadata.leader('nowhere', 0), undefined)
      assert.equal(metadata.topic('nowhere')!.missing, false)
      while (!metadata.topic('nowhere')!.missing) await metadata.refresh()
      broker.createTopic('nowhere')
      await metadata.refresh()
      assert.equal(metadata.topic('nowhere')!.missing, false)
      assert.notEqual(metadata.leader('nowhere', 0), undefined)
      broker.deleteTopic('nowhere')
    }))

  test('does not go through the broker that just failed while there is another (trap N2)', async () => {
    await using silent = await startSilentBroker()
    await withMetadata([silent.address, ...broker.brokers], async (metadata) => {
      for (let i = 0; i < 10; i++) await metadata.refresh()
      assert.equal(silent.connections, 1)
    })
  })

  test('is asked for by itself when it is old', async () => {
    const connections = new Connections(resolveKafkaOptions({ brokers: broker.brokers, metadataMaxAge: 100 }))
    const metadata = new Metadata(connections)
    metadata.watch('here')
    await metadata.refresh()
    let answers = 0
    metadata.onChange(() => answers++)
    await until('two answers that nobody asked for', () => answers >= 2)
    assert.equal(metadata.topic('here')!.partitions.length, 3)
    await metadata.close()
    await connections.close()
  })

  test('that is closed while a broker hangs ends at once', async () => {
    await using silent = await startSilentBroker()
    const connections = new Connections(resolveKafkaOptions({ brokers: [silent.address] }))
    const metadata = new Metadata(connections)
    const asking = assert.rejects(metadata.refresh(), { code: 'MILENA_CLOSED' })
    await new Promise((resolve) => {
      setTimeout(resolve, 50)
    })
    await metadata.close()
    await asking
    await connections.close()
  })
})
