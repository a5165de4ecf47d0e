/**
 * Topics are never created by accident: whoever needs one asks here, and a missing one is an error that names it.
 */
import { TransportError } from '../errors.ts'
import { hasMethods, refuseUnless } from '../given.ts'
import type { TopicDescription, TopicSpec, Transport } from './transport.ts'

/**
 * The topic's description. A missing topic is created when `create` is true, for development, and otherwise an error.
 *
 * @throws TransportError `MILENA_TOPIC_MISSING`; OptionsError of what is no transport, and no topic
 */
export async function requireTopic(
  transport: Transport,
  spec: TopicSpec,
  create: boolean,
): Promise<TopicDescription> {
  const needed = ['describeTopics', 'createTopics']
  refuseUnless(hasMethods(transport, needed), 'requireTopic', 'it takes an open transport', transport)
  const { name, partitions } = Object(spec) as Partial<TopicSpec>
  const isSpec = typeof name === 'string' && typeof partitions === 'number'
  refuseUnless(isSpec, 'requireTopic', 'it takes a topic, as { name, partitions }', spec)
  const found = (await transport.describeTopics([spec.name])).get(spec.name)
  if (found !== undefined) return found
  if (!create) throw missingTopic(spec.name, spec.partitions)
  await transport.createTopics([spec])
  const made = (await transport.describeTopics([spec.name])).get(spec.name)
  if (made === undefined) throw missingTopic(spec.name, spec.partitions)
  return made
}

/** The error for a topic that is not there; it names the command and the option that make it. */
export function missingTopic(name: string, partitions: number): TransportError {
  return new TransportError(
    'MILENA_TOPIC_MISSING',
    `topic ${name} does not exist; create it (kafka-topics --create --topic ${name} --partitions ${partitions}) or, ` +
      `for development, set createTopics: true`,
  )
}
