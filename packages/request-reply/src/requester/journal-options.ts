/** What a requester is told of its journal. */
import type { AnyOperation, Operation } from '../contract/operation.ts'
import { unknownOptions } from '../given.ts'
import type { JournalStore, TakeOver } from '../journal/journal.ts'
import { classOf, foreign, said, saidWord } from '../words.ts'
import type { Recovered } from './recovered.ts'

export interface RequesterJournalOptions {
  /** Where it is kept: `fileJournal({ directory })`, or one of `@milena/postgres`. */
  readonly store: JournalStore
  /**
   * The operations whose requests are written down before they are sent; those of others are not. After a restart they
   * are found by their names.
   */
  readonly operations: readonly JournaledOperation[]
  /**
   * Called with each request that an earlier process under this instance id had accepted and not finished, and its
   * outcome. Up to 8 at once, in no order. An entry is finished when what this returns has resolved: so after another
   * crash it may be called again with the same request, which is told by `correlationId`. When it throws or rejects,
   * that is a warning, and it is called again a second later, then after two, four, … 30.
   */
  readonly onRecovered: (recovered: Recovered) => void | Promise<void>
  /**
   * Called with each outcome that a request of this process has had, before its entry is finished, and called again until it
   * goes well, as `onRecovered` is. For who does something with an outcome that a kill must not lose: the caller is told
   * at the same time, and after a kill in between `onRecovered` is told. Not called for what was not sent. Until it is done
   * the request counts against `maxPending`. Default: the entry is finished when the caller is told.
   */
  readonly beforeFinish?: (outcome: Recovered) => void | Promise<void>
  /**
   * What becomes of a process that is alive and has this journal: this one does not start (`refuse`, with
   * `MILENA_JOURNAL_TAKEN`), or takes the journal away from it (`fence`), and then the other one accepts and sends nothing
   * any more. Default `refuse`.
   */
  readonly takeOver?: TakeOver
  /**
   * Milliseconds for which a request whose outcome was told as unknown is kept, so that a reply that comes after a restart
   * finds it (`Recovered.late`). Default 0: not at all.
   */
  readonly keepUnknown?: number
}

/** Any operation, whatever its types. */
export type JournaledOperation = Pick<Operation<never, unknown, never, unknown>, 'name' | 'topic' | 'learned'>

export interface JournalSettings {
  readonly store: JournalStore
  readonly operations: ReadonlyMap<string, AnyOperation>
  readonly onRecovered: (recovered: Recovered) => void | Promise<void>
  readonly beforeFinish: ((outcome: Recovered) => void | Promise<void>) | undefined
  readonly takeOver: TakeOver
  readonly keepUnknown: number
}

const known: ReadonlySet<string> = new Set<keyof RequesterJournalOptions>([
  'store',
  'operations',
  'onRecovered',
  'beforeFinish',
  'takeOver',
  'keepUnknown',
])

/** @param problems further ones are added here */
export function readJournalOptions(
  given: RequesterJournalOptions,
  problems: string[],
): JournalSettings | undefined {
  if (typeof given !== 'object' || given === null) {
    problems.push(`journal must be an object with store, operations and onRecovered, not ${classOf(given)}`)
    return undefined
  }
  const { store, operations, onRecovered, beforeFinish, takeOver = 'refuse', keepUnknown = 0 } = given
  problems.push(...unknownOptions('journal', given, known).map((problem) => `journal: ${problem}`))
  if (typeof store?.open !== 'function') problems.push('journal.store is missing, such as fileJournal({ … })')
  if (typeof onRecovered !== 'function')
    problems.push(`journal.onRecovered must be a function, not ${classOf(onRecovered)}`)
  if (beforeFinish !== undefined && typeof beforeFinish !== 'function')
    problems.push(`journal.beforeFinish must be a function, not ${classOf(beforeFinish)}`)
  if (takeOver !== 'refuse' && takeOver !== 'fence')
    problems.push(`journal.takeOver must be 'refuse' or 'fence', not ${saidWord(takeOver)}`)
  if (!(Number.isFinite(keepUnknown) && keepUnknown >= 0))
    problems.push(`journal.keepUnknown must be a number of milliseconds, 0 or more, not ${said(keepUnknown)}`)
  const byName = new Map<string, AnyOperation>()
  if (!Array.isArray(operations) || operations.length === 0) {
    problems.push('journal.operations must be a list of one operation at least')
    return undefined
  }
  for (const each of operations as readonly AnyOperation[]) {
    if (typeof each?.name !== 'string' || typeof each.topic !== 'string')
      problems.push(`journal.operations has something that is no operation: ${classOf(each)}`)
    else if (byName.has(each.name))
      problems.push(`journal.operations has two of the name ${foreign(each.name, 100)}`)
    else byName.set(each.name, each)
  }
  return { store, operations: byName, onRecovered, beforeFinish, takeOver, keepUnknown }
}
