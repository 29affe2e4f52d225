// The bare baseline: axios on a keep-alive agent, each image written to its file, nothing checked.
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent } from 'node:http'
import { join } from 'node:path'
import process from 'node:process'
import axios from 'axios'
import { z } from 'zod'
import { idsUpTo } from '../parts/stub-names.js'
import { doTasks, secondsOf } from '../parts/tasks.js'

const taskSchema = z.object({ folder: z.string(), count: z.int(), concurrency: z.int() })

await doTasks(taskSchema, async ({ folder, count, concurrency }) => {
  const httpAgent = new Agent({ keepAlive: true, maxSockets: concurrency })
  const http = axios.create({ baseURL: `http://${process.argv[2] ?? ''}`, httpAgent, responseType: 'arraybuffer' })
  await mkdir(folder, { recursive: true })
  const ids = idsUpTo(count)
  let available = 0
  async function fetchSome(): Promise<void> {
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
      const { data } = await http.get<Buffer>(`/api/o/projects/p/images/${id}/main`)
      await writeFile(join(folder, `${id}.jpg`), data)
      available += 1
    }
  }
  const seconds = await secondsOf(() => Promise.all(Array.from({ length: concurrency }, fetchSome)))
  httpAgent.destroy()
  return { seconds, available }
})
