// The bare baseline: Node's own HTTP client on kept-alive connections, each image written to its file, nothing checked.
import { mkdir, writeFile } from 'node:fs/promises'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import process from 'node:process'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'
import { idsUpTo } from '../parts/stub-names.js'
import { doTasks, secondsOf } from '../parts/tasks.js'

const [hostname = '', port = ''] = (process.argv[2] ?? '').split(':')
const taskSchema = z.object({ folder: z.string(), count: z.int(), concurrency: z.int() })

await doTasks(taskSchema, async ({ folder, count, concurrency }) => {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency })
  await mkdir(folder, { recursive: true })
  const ids = idsUpTo(count)
  let available = 0
  async function fetchSome(): Promise<void> {
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
      await writeFile(join(folder, `${id}.jpg`), await fetchOne(id))
      available += 1
    }
  }
  function fetchOne(id: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const path = `/api/o/projects/p/images/${id}/main`
      get({ hostname, port, path, agent }, (response) => buffer(response).then(resolve, reject)).on('error', reject)
    })
  }
  const seconds = await secondsOf(() => Promise.all(Array.from({ length: concurrency }, fetchSome)))
  agent.destroy()
  return { seconds, available }
})
