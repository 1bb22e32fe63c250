"""The models of requests and answers; they check the requests.

Answers are stable: fields are added, never renamed or removed.
"""
