/** The model of a log: every request of it applied in its order, and what must have become of each. */
import { Model, type ModelShop } from './model.ts'
import { readTopic } from './read-topic.ts'

export interface LogOptions {
  readonly brokers: string
  readonly topic: string
  /** Base radius of all shops, in metres. */
  readonly base: number
  /** Changes, by id, of which the system says that something went wrong and they were not made: left out here too. */
  readonly notMade: ReadonlySet<string>
}

export interface LogModel {
  readonly shops: ReadonlyMap<string, ModelShop>
  readonly requests: number
  /** Ids of the changes that must have been refused. */
  readonly refused: ReadonlySet<string>
}

export async function modelLog({ brokers, topic, base, notMade }: LogOptions): Promise<LogModel> {
  const model = new Model(base)
  const refused = new Set<string>()
  let requests = 0
  await readTopic(brokers, topic, (request) => {
    requests++
    if (notMade.has(request.id)) return
    if (!model.next(request)) refused.add(request.id)
  })
  return { shops: model.shops, requests, refused }
}
