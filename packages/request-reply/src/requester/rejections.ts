/** Requests that were not accepted: each is counted, and told, once. */
import type { AnyOperation } from '../contract/operation.ts'
import { requestRejected } from '../diagnostics.ts'
import { MilenaError } from '../errors.ts'
import { errorOf } from '../words.ts'
import type { OperationAccounts } from './operation-accounts.ts'
import type { RequesterCounters } from './stats.ts'

export class Rejections {
  readonly #instanceId: string
  readonly #accounts: OperationAccounts
  readonly #counters: RequesterCounters

  constructor(instanceId: string, accounts: OperationAccounts, counters: RequesterCounters) {
    this.#instanceId = instanceId
    this.#accounts = accounts
    this.#counters = counters
  }

  count(operation: AnyOperation, thrown: unknown): void {
    this.#counters.rejected++
    if (!requestRejected.hasSubscribers) return
    const error = errorOf(thrown)
    const code = error instanceof MilenaError ? error.code : undefined
    const { name, topic } = this.#accounts.has(operation) ? operation : { name: '(none)', topic: '(none)' }
    requestRejected.publish({ operation: name, topic, instanceId: this.#instanceId, code, error })
  }
}
