import { open } from 'node:fs/promises'
import { messageOf, StartError } from './start-error.ts'

/** Finds out before a long run that a file cannot be written at its end; what is in it stays. */
export async function requireWritable(file: string, option: string): Promise<void> {
  try {
    await (await open(file, 'a')).close()
  } catch (error) {
    throw new StartError(`${option} ${file} cannot be written: ${messageOf(error)}`)
  }
}
