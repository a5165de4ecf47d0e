import type { Pair } from '../run/pair.ts'
import { places } from '../side/places.ts'
import type { Profile, ProfileKind } from '../side/protocol.ts'
import type { Side } from '../system.ts'
import { threeFigures } from '../statistics.ts'
import { replyPartitionBytes, replyPartitionJson } from '../systems/milena.ts'
import type { Situation } from './situation.ts'
import { withPair } from './with-pair.ts'

const inFlights = [1, 64, 256]
const sides = ['requester', 'replier'] as const
const kinds: readonly { readonly kind: ProfileKind; readonly unit: string }[] = [
  { kind: 'cpu', unit: 'µs' },
  { kind: 'allocations', unit: 'B' },
]

type Sampled = Readonly<Record<(typeof sides)[number], Profile>> & { readonly answered: number }

export const profile: Situation = {
  name: 'profile',
  title:
    'Where the microseconds and bytes of a request go (sampled; V8’s heap, not what Buffers have outside)',
  async run(stage, milliseconds) {
    const rows: Record<string, string | number>[] = []
    for (const system of [replyPartitionBytes, replyPartitionJson]) {
      // A block that is repeated would be in its profile twice.
      await withPair({ ...stage, repeats: 0 }, system, {}, async (pair) => {
        const samples: { readonly column: string; readonly unit: string; readonly sampled: Sampled }[] = []
        for (const inFlight of inFlights) {
          for (const { kind, unit } of kinds) {
            const sampled = await sample(pair, kind, inFlight, milliseconds)
            samples.push({ column: `${unit} at ${inFlight}`, unit, sampled })
            printHottest(`${system.name}, ${inFlight} in flight`, unit, sampled)
          }
        }
        for (const side of sides) {
          const row = (
            place: string,
            amount: (profile: Profile) => number,
          ): Record<string, string | number> => {
            const figures = samples.map(({ column, sampled }) => [
              column,
              threeFigures(amount(sampled[side]) / sampled.answered),
            ])
            return { system: system.name, side, place, ...Object.fromEntries(figures) }
          }
          const there = places.filter((place) => samples.some(({ sampled }) => sampled[side].places[place]))
          rows.push(...there.map((place) => row(place, (profile) => profile.places[place] ?? 0)))
          rows.push(row('together', total))
        }
      })
    }
    return { rows }
  },
}

async function sample(
  pair: Pair,
  kind: ProfileKind,
  inFlight: number,
  milliseconds: number,
): Promise<Sampled> {
  await Promise.all([start(pair.asker, kind), start(pair.answerer, kind)])
  const { answered } = await pair.measure({ kind: 'closed', inFlight, milliseconds })
  const [requester, replier] = await Promise.all([stop(pair.asker), stop(pair.answerer)])
  return { requester, replier, answered }
}

/** Systems of ours have both sides in Node. */
const start = (side: Side, kind: ProfileKind): Promise<void> => side.startProfile!(kind)
const stop = (side: Side): Promise<Profile> => side.stopProfile!()

function printHottest(where: string, unit: string, sampled: Sampled): void {
  for (const side of sides) {
    console.log(`\n${where}, ${side}: ${unit} a request`)
    for (const { name, amount } of sampled[side].hottest) {
      console.log(`${String(threeFigures(amount / sampled.answered)).padStart(8)}  ${name}`)
    }
  }
}

function total({ places }: Profile): number {
  return Object.values(places).reduce((sum: number, amount) => sum + amount, 0)
}
