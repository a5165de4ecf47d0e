/** The embedded database as a child process: its entry file, and what it tells. */
export interface DatabaseFacts {
  readonly url: string
  readonly password: string
}

export const databaseEntry = new URL('main.ts', import.meta.url)
