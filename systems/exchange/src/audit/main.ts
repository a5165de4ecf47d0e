/** Entry: the auditor adds up all accounts, again and again, while money moves. */
import { createApp, listen, messageOf, runChild, type ServiceFacts } from '@milena/hosting'
import { z } from 'zod'
import { connect } from '../database/connect.ts'
import type { DatabaseUrls } from '../database/databases.ts'
import { accountServices } from '../operations.ts'
import { problemsOfBooks, problemsOfExchanges, type Books } from './conservation.ts'
import { readBooks, readEffects, readExchanges } from './reading.ts'

export interface AuditConfig {
  readonly databases: DatabaseUrls
}

const moneySchema = z.array(z.object({ currency: z.string(), opening: z.number(), balance: z.number() }))
export const auditSchema = z.object({
  rounds: z.number().describe('how often all accounts were added up'),
  problems: z.array(z.string()).describe('what did not hold: the first ones, in words'),
  problemCount: z.number(),
  money: moneySchema,
})
export type Audit = z.infer<typeof auditSchema>

/** Milliseconds between two rounds, at least; and so many times as long as the last one took. */
const pause = 500
const pauseFactor = 4
const mostTold = 50

runChild(async ({ databases }: AuditConfig) => {
  const exchange = await connect(databases.exchange, 2)
  const pools = {
    'krw-account': await connect(databases['krw-account'], 2),
    'fx-account': await connect(databases['fx-account'], 2),
  }
  const problems = new Set<string>()
  let problemCount = 0
  let rounds = 0
  let last: readonly Books[] = []
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function tell(found: readonly string[]): void {
    problemCount += found.length
    for (const problem of found) if (problems.size < mostTold) problems.add(problem)
  }
  async function round(): Promise<void> {
    last = await Promise.all(accountServices.map((service) => readBooks(pools[service], service)))
    rounds++
    tell(last.flatMap(problemsOfBooks))
  }
  async function goOn(): Promise<void> {
    const began = performance.now()
    try {
      await round()
    } catch (error) {
      if (!closed) console.error(`auditor: a round failed: ${messageOf(error)}`)
    }
    const took = performance.now() - began
    if (!closed) timer = setTimeout(() => void goOn(), Math.max(pause, pauseFactor * took))
  }
  function audit(): Audit {
    return { rounds, problems: [...problems], problemCount, money: last.flatMap(({ totals }) => totals) }
  }

  await round()
  void goOn()
  const app = await createApp('Auditor', 'cut')
  app.get(
    '/audit',
    { schema: { summary: 'What all rounds so far have found', response: { 200: auditSchema } } },
    audit,
  )
  app.post(
    '/settlement',
    {
      schema: {
        summary: 'Another round, and whether every exchange is done on both sides or on neither',
        response: { 200: auditSchema },
      },
    },
    async () => {
      await round()
      const effects = await Promise.all(accountServices.map((service) => readEffects(pools[service])))
      tell(problemsOfExchanges(await readExchanges(exchange), effects.flat()))
      return audit()
    },
  )
  const port = await listen(app, 0)
  const facts: ServiceFacts = { port, url: `http://127.0.0.1:${port}` }
  return {
    facts,
    async close() {
      closed = true
      clearTimeout(timer)
      await app.close()
      await Promise.all([exchange, ...Object.values(pools)].map((pool) => pool.end()))
    },
  }
})
