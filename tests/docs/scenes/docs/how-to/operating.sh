export PUSH_QUEUE_REDIS_URL=redis://localhost:6379
leave-old-webhook
push-worker &
push-queue enqueue app.tar --to reg.example.com/team/app:1 --label team=a --wait
