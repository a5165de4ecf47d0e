import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OptionsError } from '../../src/errors.ts'
import { parseAddress, resolveKafkaOptions, type KafkaOptions } from '../../src/transport/kafka/options.ts'

test('Kafka options that say nothing but where the brokers are get their defaults', () => {
  const { linger, compression, deliveryTimeout, clientId, tls, maxBatchMemory } = resolveKafkaOptions({
    brokers: ['localhost'],
  })
  assert.deepEqual(
    [linger, compression, deliveryTimeout, clientId, tls, maxBatchMemory],
    [0, 'none', 30_000, 'milena', undefined, 67_108_864],
  )
})

test('every problem of the Kafka options is told at once', () => {
  const options = {
    brokers: ['localhost:99999', 'a b'],
    clientId: '',
    compression: 'brotli',
    linger: -1,
    deliveryTimeout: 1.5,
    maxBatchMemory: 1_000,
    sasl: { mechanism: 'PLAIN', username: 'u' },
    tls: 'yes',
    lingerMs: 3,
  }
  assert.throws(
    () => resolveKafkaOptions(options as unknown as KafkaOptions),
    (error: OptionsError) => {
      assert.equal(error.code, 'MILENA_OPTIONS_INVALID')
      const names = [
        'lingerMs',
        'localhost:99999',
        'a b',
        'clientId',
        'compression',
        'linger',
        'deliveryTimeout',
        'maxBatchMemory',
        'sasl',
        'tls',
      ]
      for (const name of names) assert.match(error.message, new RegExp(name))
      assert.match(error.message, /none, gzip, snappy, lz4, zstd, not "brotli"/)
      assert.ok(error.problems.length >= names.length)
      return true
    },
  )
})

test('brokers must be given', () => {
  for (const brokers of [undefined, [], 'localhost:9092']) {
    assert.throws(() => resolveKafkaOptions({ brokers } as unknown as KafkaOptions), /brokers must be a list/)
  }
})

test('a broker is given as host, host:port or [address]:port', () => {
  assert.deepEqual(parseAddress('kafka-1.example'), { host: 'kafka-1.example', port: 9092 })
  assert.deepEqual(parseAddress('10.0.0.1:19092'), { host: '10.0.0.1', port: 19_092 })
  assert.deepEqual(parseAddress('[::1]:9093'), { host: '::1', port: 9093 })
  for (const wrong of ['', ':9092', 'a:b', 'a:0', 'kafka://a', 5])
    assert.equal(parseAddress(wrong), undefined)
})

test('a linger that is as long as the delivery timeout is refused', () => {
  assert.throws(
    () => resolveKafkaOptions({ brokers: ['a'], linger: 50, deliveryTimeout: 50 }),
    /linger .* shorter/,
  )
})
