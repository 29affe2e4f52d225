import { type RedisLink, readWriteState } from '../../queue/redis/index.js'
import { printLine } from '../output.js'

/** While Redis takes no writes, hosts and nodes report nothing, and what is shown of them is out of date; returns whether that is so. */
export async function printRedisProblem(link: RedisLink): Promise<boolean> {
  const { problem } = await readWriteState(link)
  if (problem !== null) printLine(problem)
  return problem !== null
}
