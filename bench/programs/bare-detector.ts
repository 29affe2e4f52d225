// The least a detector can be: fastify that takes a multipart image, decodes it if asked to, and answers always the same.
// Started with `plain` or `decode`; prints its port.
import process from 'node:process'
import multipart from '@fastify/multipart'
import { fastify } from 'fastify'
import sharp from 'sharp'
import { z } from 'zod'

const ANSWER = {
  box_detections: [],
  point_detections: [],
  segmentation_detections: [],
  classification_detections: [],
  tags: [],
  created: null,
  source: null,
}

sharp.cache(false)
sharp.concurrency(1)
const decode = {
  plain: async () => undefined,
  decode: (jpeg: Buffer) => sharp(jpeg).raw().toBuffer(),
}[z.enum(['plain', 'decode']).parse(process.argv[2])]
const app = fastify()
await app.register(multipart)
app.post('/detect', async (request) => {
  const file = await request.file()
  const bytes = await file?.toBuffer()
  if (bytes !== undefined) await decode(bytes)
  return ANSWER
})
const address = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${new URL(address).port}\n`)
process.once('SIGTERM', () => void app.close())
