export PUSH_QUEUE_REDIS_URL=redis://localhost:6379
# A receiver of webhooks that no worker has in its settings any more.
PUSH_QUEUE_WEBHOOKS='{"old-chat": {"url": "https://chat.example.com/", "secret": "whsec_dGhlIHNlY3JldCBvZiB0aGUgZG9jdW1lbnRz"}}' \
    push-worker &
until push-queue webhooks --json | jq --exit-status 'length > 0'; do sleep 0.1; done
kill $!
wait $!
push-worker &
push-queue enqueue app.tar --to reg.example.com/team/app:1.0 --id build-4711 --wait
push-queue enqueue app.tar --to reg.example.com/team/app:1.0 --id build-4712 --wait
