// A Loop server that does as little as it can, so that what is measured is its client. Started with one argument, JSON:
// {"images": [paths of JPEG files], "zip": path of a model's zip, or absent, "uploadMs": how long it thinks about an upload}.
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { idOf, MODEL_ID } from '../parts/stub-names.js'

const optionsSchema = z.object({
  images: z.array(z.string()),
  zip: z.string().optional(),
  uploadMs: z.int().default(0),
})
const { images, zip, uploadMs } = optionsSchema.parse(JSON.parse(process.argv[2] ?? ''))
const jpegs = images.map((path) => readFileSync(path))

const server = createServer((request, response) => void answer(request, response))
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  process.stdout.write(`127.0.0.1:${port}\n`)
})

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? ''
  const number = /\/images\/0*(\d+)-[^/]*\/main$/.exec(path)?.[1]
  if (number !== undefined && jpegs.length > 0) {
    const jpeg = jpegs[Number(number) % jpegs.length] ?? Buffer.alloc(0)
    response.writeHead(200, { 'content-type': 'image/jpeg', 'content-length': jpeg.length }).end(jpeg)
  } else if (request.method === 'GET' && path.endsWith('/file') && zip !== undefined) {
    const headers = { 'content-type': 'application/zip', 'content-length': statSync(zip).size }
    response.writeHead(200, { ...headers, 'content-disposition': 'attachment; filename="loopfleet-bench-model.zip"' })
    createReadStream(zip).pipe(response)
  } else {
    for await (const _ of request); // a whole upload is taken, and thrown away
    if (uploadMs > 0 && path.endsWith('/images')) await sleep(uploadMs)
    const cookie = path.endsWith('/login') ? { 'set-cookie': 'token=stub; Path=/' } : {}
    response.writeHead(200, { 'content-type': 'application/json', ...cookie })
    response.end(JSON.stringify({ id: MODEL_ID, first: idOf(0) }))
  }
}
