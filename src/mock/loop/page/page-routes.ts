import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'

const FILES = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/page.css': { file: 'page.css', type: 'text/css; charset=utf-8' },
  '/page.js': { file: 'page.js', type: 'text/javascript; charset=utf-8' },
  '/page-images.js': { file: 'page-images.js', type: 'text/javascript; charset=utf-8' },
  '/page-annotate.js': { file: 'page-annotate.js', type: 'text/javascript; charset=utf-8' },
  '/page-annotate.css': { file: 'page-annotate.css', type: 'text/css; charset=utf-8' },
  '/page-drawing.js': { file: 'page-drawing.js', type: 'text/javascript; charset=utf-8' },
  '/page-input.js': { file: 'page-input.js', type: 'text/javascript; charset=utf-8' },
  '/page-dom.js': { file: 'page-dom.js', type: 'text/javascript; charset=utf-8' },
} as const

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** The page at `/`: plain files beside this module, nothing from elsewhere. */
export function registerPage(app: FastifyInstance): void {
  for (const [path, { file, type }] of Object.entries(FILES)) {
    app.get(path, async (_request, reply) => {
      const text = await readFile(new URL(file, import.meta.url), 'utf8')
      const headers = {
        'content-security-policy': POLICY,
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-cache',
      }
      return await reply.headers(headers).type(type).send(text)
    })
  }
  app.get('/favicon.ico', async (_request, reply) => reply.code(204).send())
}
