/** The outcome as lines of text, on a terminal and in a report. */
import type { Cells } from '@milena/hosting'
import type { Outcome, Wait } from './outcome.ts'

/** One line for each figure. */
export function figures(outcome: Outcome): Cells {
  const { counted, kills } = outcome
  const killed = Object.entries(kills).map(([service, times]) => `${service} ${times}`)
  return [
    ['exchanges', String(outcome.exchanges)],
    ['done', String(counted.done)],
    ['undone', String(counted.undone)],
    ['of those compensated: money was moved, and moved back', String(counted.compensated)],
    ['half done', String(counted.halfDone)],
    ['retried: HTTP calls and commands', String(counted.callRetries)],
    ['retried: cancellations', String(counted.cancelRetries + outcome.lettersRetries)],
    ['dead-lettered', String(outcome.deadLettered)],
    ['of those replayed', String(outcome.replayed)],
    ['commands and replies written twice, in another order', String(outcome.duplicates)],
    ['times that a caller asked again', String(outcome.askedAgain)],
    ['services killed with SIGKILL', killed.join(', ')],
    ['fx-account was down for', seconds(outcome.downFor)],
    ["the caller's answer: p50, p99, the longest", wait(outcome.waits.all)],
    ['where it took place', wait(outcome.waits.done)],
    ['where it did not', wait(outcome.waits.undone)],
    ['the load took', seconds(outcome.loadFor)],
    ['after it, until everything was at rest', seconds(outcome.settledIn)],
    ['all accounts were added up', `${outcome.audit.rounds} times`],
    ['what did not hold', String(outcome.problems.length)],
  ]
}

/** One line for each currency. */
export function money(outcome: Outcome): Cells {
  const titles = ['', 'customers before', 'after', 'bank before', 'after', 'all before', 'after']
  return [
    titles,
    ...outcome.money.map(({ currency, customersBefore, customersAfter, bankBefore, bankAfter }) => [
      currency,
      ...[
        customersBefore,
        customersAfter,
        bankBefore,
        bankAfter,
        customersBefore + bankBefore,
        customersAfter + bankAfter,
      ].map(String),
    ]),
  ]
}

function wait({ p50, p99, most }: Wait): string {
  const told = [p50, p99, most].map((one) => (Number.isNaN(one) ? '-' : one.toFixed(0)))
  return `${told.join(', ')} ms`
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`
}
