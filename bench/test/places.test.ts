import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attribute, type CallNode } from '../src/side/places.ts'

function node(functionName: string, url: string, self: number, ...children: CallNode[]): CallNode {
  return { callFrame: { functionName, url, lineNumber: 6 }, self, children }
}

const source = 'file:///milena/packages/request-reply/src'
const client = 'file:///milena/node_modules/@platformatic/kafka/dist/network/connection.js'

const tree = node(
  '(root)',
  '',
  1_000,
  node('(idle)', '', 5_000),
  node('(program)', '', 11),
  node('(garbage collector)', '', 13),
  node('emit', 'node:events', 17),
  node(
    'onStreamRead',
    'node:internal/stream_base_commons',
    19,
    node('emit', 'node:events', 23),
    node(
      '#onData',
      client,
      29,
      node('get', '', 31),
      node(
        'receive',
        `${source}/requester/reply-receiver.ts`,
        37,
        node('lastHeader', `${source}/wire/headers.ts`, 41, node('compare', 'node:buffer', 43)),
        node('decodeJson', `${source}/contract/payload.ts`, 47, node('parse', '', 53)),
        node('parse', 'file:///milena/node_modules/zod/v4/core/parse.js', 59),
      ),
    ),
  ),
  node(
    'processTicksAndRejections',
    'node:internal/process/task_queues',
    61,
    node('#process', `${source}/replier/group-work.ts`, 67),
    node('choosePartition', `${source}/routing/reply-partition.ts`, 71),
    node('send', `${source}/transport/kafka/sending/sender.ts`, 73),
    node('partitionForKey', `${source}/transport/partitioner.ts`, 79),
    node('decodeRecords', `${source}/transport/kafka/batches/record-batches.ts`, 83),
    node('commit', `${source}/transport/kafka/group/commits.ts`, 89),
    node(
      'send',
      `${source}/transport/kafka/connection/connections.ts`,
      97,
      node('wasm-function[3]', 'wasm://wasm/1', 101),
    ),
    node('follow', 'file:///milena/bench/src/side/block.ts', 103, node('lookup', '', 107)),
  ),
)

test('time belongs to the place of its file, and of Node and V8 to the nearest caller that tells', () => {
  assert.deepEqual(attribute(tree).places, {
    requester: 37,
    replier: 67,
    routing: 71,
    wire: 41 + 43,
    'validation and codec': 47 + 53 + 59,
    sending: 73 + 79,
    reading: 83,
    group: 89,
    'connections and protocol': 97,
    'Kafka client': 29 + 31 + 101,
    'Node: net and streams': 19 + 23,
    'Node: timers, promises, ticks': 61,
    'Node: the rest': 17,
    'garbage collection': 13,
    'native, system calls': 11,
    benchmark: 103 + 107,
  })
})

test('functions come with their file and line, the hottest first, the same one of several callers once', () => {
  const { functions } = attribute(tree)
  assert.deepEqual(functions.slice(0, 2), [
    { name: 'lookup', amount: 107 },
    { name: 'follow side/block.ts:7', amount: 103 },
  ])
  assert.equal(functions.find(({ name }) => name === 'emit node:events:7')?.amount, 17 + 23)
})
