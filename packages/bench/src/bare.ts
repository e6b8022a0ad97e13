/**
 * `node:http` as a registry that says yes to each push and keeps nothing of it: what the least that Node can do costs. `bare.ts PORT`.
 */
import { createServer } from "node:http"

const uploads = "/v2/bench/served/blobs/uploads/"
let last = 0

createServer((request, response) => {
  const { method, url = "/" } = request
  const answer = (status: number, headers: Readonly<Record<string, string>> = {}): void => {
    response.writeHead(status, { "content-length": "0", ...headers }).end()
  }
  request.resume().once("end", () => {
    switch (method) {
      case "HEAD":
        return answer(404)
      case "POST":
        return answer(202, { location: `${uploads}${++last}` })
      case "PATCH":
        return answer(202, { location: url })
      case "PUT":
        return answer(201, { location: url })
      default:
        return answer(200)
    }
  })
}).listen(Number(process.argv[2]), "127.0.0.1")
