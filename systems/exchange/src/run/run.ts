/** One run: the load, what is broken meanwhile, and what has come of it. */
import { JsonClient } from '@milena/hosting'
import type { RunOptions } from '../options.ts'
import type { ExchangeSystem } from '../system.ts'
import { Breaking } from './breaking.ts'
import { find } from './findings.ts'
import { Letters } from './letters.ts'
import { runLoad, type Answers } from './load.ts'
import { problemsOfCounts, waitOf, type Outcome } from './outcome.ts'
import { audit, countOpen, settle, settlement } from './settling.ts'

/** Milliseconds between two looks at how it goes. */
const interval = 500

export async function run(
  system: ExchangeSystem,
  options: RunOptions,
  customers: readonly string[],
  show: (step: string, detail?: string) => void,
): Promise<Outcome> {
  const { exchanges, rate } = options
  const client = new JsonClient(system.urlOf('exchange'), 300)
  const breaking = new Breaking(system, options)
  await using letters = new Letters(system.brokers, options.prefix)
  const answers: Answers = {
    done: new Set(),
    undone: new Set(),
    unanswered: new Set(),
    askedAgain: 0,
    waits: { done: [], undone: [] },
  }
  await breaking.begin()

  let sent = 0
  let isOver = false
  const timer = setInterval(() => {
    void Promise.all([countOpen(client), audit(system).catch(() => undefined)]).then(([open, told]) => {
      if (isOver) return
      const asked = `: ${sent} of ${exchanges} asked, ${answers.done.size} done, ${answers.undone.size} undone`
      const seen = told === undefined ? '' : `, audited ${told.rounds} times: ${told.problemCount} problems`
      show('exchanging', `${asked}, ${open ?? '?'} open${seen}; ${breaking.now}`)
    })
  }, interval)
  const began = performance.now()
  try {
    const onSend = (index: number): void => breaking.advance((sent = index + 1))
    await runLoad({ client, exchanges, rate, customers, idPrefix: 'x-', onSend }, answers)
  } finally {
    isOver = true
    clearInterval(timer)
  }
  const loadFor = performance.now() - began

  show('everything comes to its end')
  await breaking.end()
  await settle(system, letters, (open) => show('everything comes to its end', `: ${open} open`))
  const settledIn = performance.now() - began - loadFor
  client.close()

  show('adding up')
  const [audited, findings, { letters: deadLettered, retries }] = await Promise.all([
    settlement(system),
    find(system.databases, answers),
    letters.count(),
  ])
  return {
    exchanges,
    counted: findings.counted,
    askedAgain: answers.askedAgain,
    deadLettered,
    replayed: letters.replayed,
    lettersRetries: retries,
    duplicates: await copies(system),
    kills: breaking.broken.kills,
    downFor: breaking.broken.downFor,
    waits: {
      all: waitOf([...answers.waits.done, ...answers.waits.undone]),
      done: waitOf(answers.waits.done),
      undone: waitOf(answers.waits.undone),
    },
    loadFor,
    settledIn,
    money: findings.money,
    audit: audited,
    problems: [...audited.problems, ...findings.problems, ...problemsOfCounts(exchanges, findings.counted)],
  }
}

async function copies(system: ExchangeSystem): Promise<number> {
  const url = system.interferenceUrl
  if (url === undefined) return 0
  const client = new JsonClient(url, 1)
  try {
    const { body } = await client.call({ method: 'GET', path: '/stats', timeout: 5_000 })
    return (body as { written: number }).written
  } finally {
    client.close()
  }
}
