/** A saga with every kind of work, and the processes that work on it. */
import { defineOperation } from '../../src/contract/operation.ts'
import { string } from '../../src/contract/payload.ts'
import { defineSaga } from '../../src/saga/definition.ts'
import type { MemorySagaStore, MemoryTransaction } from '../../src/saga/memory-store.ts'
import { createSagas } from '../../src/saga/open-sagas.ts'
import type { CommandOptions, SagaOutbox, SagaRequester } from '../../src/saga/outbox.ts'
import type { Sagas } from '../../src/saga/sagas.ts'
import { StepError } from '../../src/saga/step-error.ts'
import type { SagaStore } from '../../src/saga/store.ts'
import { command, inTransaction, operation } from '../../src/saga/work.ts'
import type { ManualClock } from '../manual-clock.ts'
import { World } from './world.ts'

/** How the last step goes. */
export type LastStep = 'done' | 'refused' | 'unknown' | 'unknown and done'

const ask = defineOperation({ name: 'ask', topic: 'asked', request: string(), reply: string() })
const told = defineOperation({ name: 'told', topic: 'told', request: string(), reply: string() })

export interface SentCommand extends CommandOptions {
  readonly operation: string
  readonly value: unknown
}

export class AllWorks {
  readonly world = new World()
  /** Commands that were committed and not answered yet. */
  readonly sent: SentCommand[] = []
  readonly saga
  readonly #clock: ManualClock

  constructor(clock: ManualClock, last: LastStep) {
    this.#clock = clock
    const { world } = this
    this.saga = defineSaga({ name: 'all' })
      .step('function', ({ idempotencyKey }) => world.do(idempotencyKey), {
        compensate: ({ sagaId }) => world.undo(`${sagaId}:function`),
      })
      .step('once', ({ sagaId }) => world.add(`${sagaId}:once`, 1), {
        idempotent: false,
        compensate: ({ sagaId }) => world.undo(`${sagaId}:once`),
      })
      .step(
        'rows',
        inTransaction(({ sagaId }, transaction: MemoryTransaction) => {
          transaction.onCommit(() => world.add(`${sagaId}:rows`, 1))
        }),
        {
          compensate: inTransaction(({ sagaId }, transaction: MemoryTransaction) => {
            transaction.onCommit(() => world.add(`${sagaId}:rows`, -1))
          }),
        },
      )
      .step(
        'asked',
        operation(ask, ({ idempotencyKey }) => idempotencyKey),
        { compensate: operation(ask, ({ sagaId }) => `undo ${sagaId}:asked`) },
      )
      .step(
        'told',
        command(told, ({ idempotencyKey }) => idempotencyKey, { replyTo: 'answers' }),
        { compensate: command(told, ({ sagaId }) => `undo ${sagaId}:told`, { replyTo: 'answers' }) },
      )
      .step(
        'last',
        ({ idempotencyKey }) => {
          if (last === 'refused') throw new StepError('no')
          if (last !== 'unknown') world.do(idempotencyKey)
          if (last !== 'done') throw new Error('nobody knows')
        },
        { compensate: ({ sagaId }) => world.undo(`${sagaId}:last`) },
      )
    // What is done once, whatever its key, is undone by what was done.
    const undo = world.undo.bind(world)
    world.undo = (key) => {
      undo(key)
      if (key.endsWith(':once') && world.applied.get('once') === 1) world.applied.set('once', 0)
    }
  }

  readonly #requester: SagaRequester = {
    request: async (_, value) => {
      this.#take(String(value))
      return { value: 'done' } as never
    },
  }

  readonly #outbox: SagaOutbox<MemoryTransaction> = {
    add: async (transaction, { name }, value, options) => {
      transaction.onCommit(() => void this.sent.push({ ...options, operation: name, value }))
    },
  }

  process(store: SagaStore<MemoryTransaction>): Sagas {
    return createSagas({
      store,
      sagas: [this.saga],
      requester: this.#requester,
      outbox: this.#outbox,
      clock: this.#clock,
      lease: 30_000,
      interval: 10_000,
      logger: { warn: () => undefined },
    })
  }

  /** Does what the commands say, and tells a process that lives. */
  async answer(sagas: Sagas): Promise<void> {
    for (const { value, key } of this.sent.splice(0)) {
      this.#take(String(value))
      void sagas.complete(key, 'told', { result: 'done' }).catch(() => undefined)
    }
  }

  #take(value: string): void {
    if (value.startsWith('undo ')) this.world.undo(value.slice(5))
    else this.world.do(value)
  }
}

export type Store = MemorySagaStore
