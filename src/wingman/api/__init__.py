"""The HTTP contract as data: every route, body, answer, error and event.

    route.py       Route: one line of the table
    routes.py      ROUTES: the table
    agents.py      } the bodies and answers, by section
    sessions.py    }
    messages.py    }
    runs.py        }
    providers.py   }
    system.py      }
    errors.py      the errors' body, and the table from code to status
    frames.py      what streams have in them
    openapi.py     the table as an OpenAPI document

The server registers its handlers from the table, and serves nothing that is not in it. This
package knows nothing of servers, sessions or stores: a client may import it alone.
"""
