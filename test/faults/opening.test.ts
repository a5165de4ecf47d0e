/**
 * A requester, a replier and a tail that are opened while a cluster elects: one of its three brokers has just been killed,
 * or hangs, whatever it was to those who open.
 *
 * `OPENING_ROUNDS=10` does all that to each role ten times, and tells what was measured; `npm test` has time for one fault
 * of each role's.
 */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import type { KafkaNode } from '../../tools/kafka/node.ts'
import { useFaultyCluster } from './faulty-cluster.ts'
import { electionAfter, openAll, stockProducerIds, type Opened, type OpeningTimes } from './opening.ts'

/** How often each role is killed and hung; 0, the default, is one fault for each role. */
const rounds = Number(process.env['OPENING_ROUNDS'] ?? 0)
/** By hand with Kafka's own default: 9 s until a dead broker counts as one. */
const cluster = rounds > 0 ? useFaultyCluster({}) : useFaultyCluster()
/** Milliseconds after the election. */
const LIMIT = 2_000
/** How much longer than on a healthy cluster, where this machine is slow. */
const SLOWER = 3

interface Names {
  readonly requests: string
  readonly replies: string
  readonly group: string
}
type Role = 'bootstrap' | 'leader' | 'coordinator' | 'controller'
const roles: Readonly<Record<Role, (names: Names) => Promise<KafkaNode>>> = {
  bootstrap: async () => cluster.kafka.nodes[0]!,
  leader: ({ replies }) => cluster.kafka.leaderOf(replies, 0),
  coordinator: ({ group }) => cluster.kafka.coordinatorOf(group),
  controller: () => cluster.kafka.controller(),
}
const faults = { killed: 'SIGKILL', hung: 'SIGSTOP' } as const
type Fault = keyof typeof faults
const usual: readonly [Role, Fault][] = [
  ['bootstrap', 'hung'],
  ['leader', 'killed'],
  ['coordinator', 'hung'],
  ['controller', 'killed'],
]

let count = 0

async function round(context: TestContext, role: Role, fault: Fault): Promise<void> {
  const id = `${role}-${fault}-${++count}`
  const names = { requests: `${id}-requests`, replies: `${id}-replies`, group: id }
  await cluster.createTopic({ name: names.requests, partitions: 3, replicationFactor: 3 })
  await cluster.createTopic({ name: names.replies, partitions: 3, replicationFactor: 3 })
  const victim = await roles[role](names)
  const others = cluster.kafka.nodes.filter((node) => node !== victim)
  const rest = others.map((node) => node.address)
  const brokers = role === 'bootstrap' ? [victim.address, ...rest] : [...rest, victim.address]
  await stockProducerIds(cluster.kafka.nodes)
  await victim.kill(faults[fault])
  const began = performance.now()
  const opening = openAll(brokers, names, (close) => cluster.closeLater(close))
  opening.catch(() => undefined) // told when the election is over
  const groups = [names.group, `milena-reply-owners.${names.replies}`]
  const ended = (await electionAfter(victim, others, [names.requests, names.replies], groups)) - began
  const opened = await opening
  await opened.asks(`asked in ${id}`)
  const again = { ...names, group: `${id}-control` }
  const control = await openAll(rest, again, (close) => cluster.closeLater(close))
  context.diagnostic(row(role, fault, ended, opened, control))
  for (const [what, took] of Object.entries(opened.times)) {
    const limit = LIMIT + SLOWER * control.times[what as keyof OpeningTimes]
    assert.ok(
      took - ended <= limit,
      `${what}: open ${Math.round(took - ended)} ms after the election, ${Math.round(limit)} at most`,
    )
  }
}

/** Milliseconds, those of the opened counted from the election's end. */
function row(role: Role, fault: Fault, ended: number, opened: Opened, control: Opened): string {
  const after = timesOf((one) => opened.times[one] - ended)
  const without = timesOf((one) => control.times[one])
  return `${role} ${fault}: election ${Math.round(ended)} ms | after it: ${after} | without: ${without}`
}

function timesOf(time: (one: keyof OpeningTimes) => number): string {
  const which = ['requester', 'replier', 'tail'] as const
  return which.map((one) => `${one} ${Math.round(time(one))}`).join(', ')
}

describe('opened during an election they are open when it is over', { timeout: 60 * 60_000 }, () => {
  const all = (Object.keys(roles) as Role[]).flatMap((role) =>
    (Object.keys(faults) as Fault[]).map((fault) => [role, fault] as const),
  )
  for (const [role, fault] of rounds > 0 ? all : usual) {
    for (let n = 1; n <= Math.max(rounds, 1); n++) {
      test(`the ${role} was ${fault}${rounds > 0 ? `, round ${n}` : ''}`, (context) =>
        round(context, role, fault))
    }
  }
})
