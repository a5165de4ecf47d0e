/**
 * What a store and the middleware must do together when a process dies, or is taken for dead, between any two steps:
 *
 *     ── claim ── handler ── complete (or commit) ── reply ── finish ──
 *
 * Two repliers of one group share the store. The first one stops at a place and loses its connection; the second one gets the
 * record, and the first one, if it is a zombie, goes on after that.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { defineOperation } from '../src/contract/operation.ts'
import { string } from '../src/contract/payload.ts'
import { idempotency } from '../src/idempotency/idempotency.ts'
import type { IdempotencyStore } from '../src/idempotency/store.ts'
import { idempotencyKeyHeader } from '../src/wire/milena.ts'
import { until } from './asking.ts'
import type { ContractStore, IdempotencyTarget } from './idempotency-contract.ts'
import { FaultyStore } from './idempotency-faults.ts'
import { setUp } from './replying.ts'

/** A store whose transactions the contract can work in. */
export interface KillsStore extends ContractStore {
  /** Does the work of an order within the transaction whose context this is. */
  readonly work?: (added: object, order: string) => Promise<void>
  /** How often the work of an order is there. */
  readonly worked?: (order: string) => Promise<number>
}

export interface KillsTarget extends IdempotencyTarget {
  open(): Promise<KillsStore>
}

/** How often the handler runs in all, when the first process stops here. */
const places = {
  'before claim': 1,
  'after claim': 1,
  'before handler': 2,
  'after handler': 2,
  'before complete': 2,
  'after complete': 1,
  'before reply': 1,
  'after reply': 1,
} as const

type Place = keyof typeof places

const pay = defineOperation({ name: 'pay', topic: 'shop_request', request: string(), reply: string() })

export function describeIdempotencyKills(name: string, target: KillsTarget): void {
  describe(`idempotency, killed between every two steps: ${name}`, () => {
    const lease = target.short ?? 300
    for (const [place, runs] of Object.entries(places)) {
      for (const fate of ['dies', 'is a zombie'] as const) {
        test(`the first process ${fate}, ${place}`, async (t) => {
          const opened = await target.open()
          const { one, two, work, worked } = opened
          const { asking, replier, connect } = await setUp(t)
          t.after(() => opened.close())
          const order = `order-${randomBytes(6).toString('hex')}`
          const ran: string[] = []
          const stopped = Promise.withResolvers<void>()
          const revived = Promise.withResolvers<void>()
          t.after(() => revived.resolve())

          const begin = async (
            process: string,
            store: IdempotencyStore,
            at: (place: Place) => Promise<void> | void,
            connection = connect(),
          ): Promise<void> => {
            const faulty = new FaultyStore(store)
            faulty.fault = (step, when) => {
              // A process that stands still renews nothing.
              if (step === 'renew' && isStopped) return revived.promise
              if (step === 'claim') return at(`${when} claim`)
              return step === 'complete' || step === 'commit' ? at(`${when} complete`) : undefined
            }
            const shop = replier({
              connection,
              sessionTimeout: 300,
              heartbeatInterval: 30,
              drainTimeout: 0,
              beforeFinish: async () => at('after reply'),
            })
            shop.useRecords(async (_request, next) => {
              const outcome = await next()
              await at('before reply')
              return outcome
            })
            const handler = async (value: string, added: object): Promise<string> => {
              ran.push(process)
              await at('before handler')
              await work?.(added, value)
              await at('after handler')
              return `done by ${process}`
            }
            shop.handle(pay, handler, { useRecords: [idempotency({ store: faulty, lease })] })
            await shop.start()
          }

          let isStopped = false
          const doomed = connect()
          const stopAt = (now: Place): Promise<void> | void => {
            if (now !== place || isStopped) return undefined
            isStopped = true
            doomed.kill()
            stopped.resolve()
            return revived.promise
          }
          await begin('the first', one, stopAt, doomed)
          const asked = await asking.ask(Buffer.from(order), { headers: [idempotencyKeyHeader(order)] })
          await stopped.promise
          await opened.pass(lease + 50)
          await begin('the second', two, () => undefined)
          const first = await asking.reply(asked)
          if (fate === 'is a zombie') {
            revived.resolve()
            await until('the zombie has come to its end', () => ran.length === runs)
          }
          const again = await asking.answerTo(Buffer.from(order), { headers: [idempotencyKeyHeader(order)] })
          assert.equal(again.text, first.text, 'one reply')
          const found = await two.find({ scope: 'shop/pay', key: order })
          assert.ok(found.kind === 'stored' && found.outcome.kind === 'reply')
          assert.equal(String(found.outcome.value), first.text)
          assert.equal(ran.length, runs, ran.join(', '))
          if (worked !== undefined) assert.equal(await worked(order), 1, 'its work is there once')
          for (const reply of asking.repliesTo(asked)) assert.equal(reply.text, first.text)
        })
      }
    }
  })
}
