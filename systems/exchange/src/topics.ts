import { accountServices, defineCommands } from './operations.ts'

/** How many each of them has. */
export const partitions = 6

/** Those of commands and of replies. */
export function topicsOf(prefix: string): readonly string[] {
  return accountServices.flatMap((service) => {
    const { requestTopic, responseTopic } = defineCommands(prefix)[service]
    return [requestTopic, responseTopic]
  })
}
